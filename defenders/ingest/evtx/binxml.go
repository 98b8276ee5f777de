package evtx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"
)

// Element is one element of an event's XML.
type Element struct {
	Name       string
	Attributes []Attribute
	// Text is the text directly within the element. HasText is false when there is
	// none, or when the value that stands there is null.
	Text    string
	HasText bool
	// Values are the members when the element's text is an array of values, for each
	// of which Windows writes an element of its own; nil otherwise.
	Values []string
	// First is the first element within this one, Next the one behind it.
	First, Next *Element

	last *Element
}

// Attribute is one attribute of an element.
type Attribute struct{ Name, Value string }

// Attribute returns an attribute's value and whether there is one of this name.
func (e *Element) Attribute(name string) (string, bool) {
	for i := range e.Attributes {
		if e.Attributes[i].Name == name {
			return e.Attributes[i].Value, true
		}
	}
	return "", false
}

// Child returns the first element of a name within this one, or nil.
func (e *Element) Child(name string) *Element {
	for c := e.First; c != nil; c = c.Next {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Append adds an element behind those within this one.
func (e *Element) Append(child *Element) {
	if e.last == nil {
		e.First = child
	} else {
		e.last.Next = child
	}
	e.last = child
}

// The tokens of binary XML ([MS-EVEN6], 2.2.12.2), without the flag that more
// attributes or values follow.
const (
	tokenEnd            = 0x00
	tokenOpenElement    = 0x01
	tokenCloseStart     = 0x02
	tokenCloseEmpty     = 0x03
	tokenEndElement     = 0x04
	tokenValue          = 0x05
	tokenAttribute      = 0x06
	tokenCDATA          = 0x07
	tokenCharRef        = 0x08
	tokenEntityRef      = 0x09
	tokenPITarget       = 0x0a
	tokenPIData         = 0x0b
	tokenTemplate       = 0x0c
	tokenSubstitution   = 0x0d
	tokenOptional       = 0x0e
	tokenFragmentHeader = 0x0f

	flagMore = 0x40
)

const (
	// maxDepth bounds how deep elements, and templates within values, may nest.
	maxDepth = 64
	// maxElements bounds the elements of one record; templates that refer to each
	// other could make any number.
	maxElements = 20_000
	// maxText bounds the text of one record in bytes: a record has less than 64 KiB of
	// UTF-16, but a template may use one value many times.
	maxText = 4 << 20
	// maxNames bounds the names that are remembered over chunks.
	maxNames = 20_000
)

var (
	errShort = errors.New("it ends within a value")
	errDeep  = fmt.Errorf("its elements nest deeper than %d", maxDepth)
	errMany  = fmt.Errorf("it makes more than %d elements", maxElements)
	errText  = fmt.Errorf("it makes more than %d MiB of text", maxText>>20)
)

// substitution is a value that fills a template.
type substitution struct {
	kind     byte
	from, to int // in the chunk
}

// decoder turns records of one chunk into elements. It reuses its memory for each
// record.
type decoder struct {
	chunk  []byte
	names  map[uint32]string // by offset in the chunk
	intern map[string]string // the same names over chunks

	elements   [][]Element // pages
	used       int         // elements of the current record
	attributes []Attribute
	values     []string
	subs       []substitution
	text       []byte
	wide       []uint16
	depth      int
}

const elementsPerPage = 256

func (d *decoder) reset(chunk []byte) {
	d.chunk = chunk
	clear(d.names)
	if len(d.intern) > maxNames {
		clear(d.intern)
	}
}

// decode reads the binary XML between two places of the chunk.
func (d *decoder) decode(from, to int) (*Element, error) {
	d.used, d.depth = 0, 0
	d.attributes, d.values, d.subs, d.text = d.attributes[:0], d.values[:0], d.subs[:0], d.text[:0]
	root := d.element("")
	if err := d.fragment(from, to, root, nil, false); err != nil {
		return nil, err
	}
	if root.First == nil {
		return nil, errors.New("it holds no element")
	}
	return root.First, nil
}

func (d *decoder) element(name string) *Element {
	page := d.used / elementsPerPage
	if page == len(d.elements) {
		d.elements = append(d.elements, make([]Element, elementsPerPage))
	}
	e := &d.elements[page][d.used%elementsPerPage]
	*e = Element{Name: name}
	d.used++
	return e
}

// cursor walks through the chunk. Reading beyond its end gives zeroes and sets short.
type cursor struct {
	chunk   []byte
	at, end int
	short   bool
}

func (c *cursor) need(n int) bool {
	if n < 0 || c.end-c.at < n {
		c.short, c.at = true, c.end
		return false
	}
	return true
}

func (c *cursor) u8() byte {
	if !c.need(1) {
		return 0
	}
	c.at++
	return c.chunk[c.at-1]
}

func (c *cursor) u16() uint16 {
	if !c.need(2) {
		return 0
	}
	c.at += 2
	return binary.LittleEndian.Uint16(c.chunk[c.at-2:])
}

func (c *cursor) u32() uint32 {
	if !c.need(4) {
		return 0
	}
	c.at += 4
	return binary.LittleEndian.Uint32(c.chunk[c.at-4:])
}

func (c *cursor) skip(n int) {
	if c.need(n) {
		c.at += n
	}
}

// fragment reads elements and templates into a parent. subs fill substitutions;
// dependent tells whether elements carry a dependency identifier, as they do in
// templates.
func (d *decoder) fragment(from, to int, parent *Element, subs []substitution, dependent bool) error {
	if d.depth++; d.depth > maxDepth {
		return errDeep
	}
	defer func() { d.depth-- }()
	if from < 0 || to > len(d.chunk) || from > to {
		return errShort
	}
	c := cursor{chunk: d.chunk, at: from, end: to}
	for c.at < c.end {
		token := c.u8()
		var err error
		switch token &^ flagMore {
		case tokenEnd:
			return nil
		case tokenFragmentHeader:
			c.skip(3)
		case tokenOpenElement:
			err = d.open(&c, parent, token&flagMore != 0, subs, dependent)
		case tokenTemplate:
			err = d.template(&c, parent)
		case tokenPITarget:
			_, err = d.name(&c)
		case tokenPIData:
			c.skip(2 * int(c.u16()))
		default:
			return fmt.Errorf("the token 0x%02x stands where an element is expected", token)
		}
		if err != nil {
			return err
		}
		if c.short {
			return errShort
		}
	}
	return nil
}

// name reads a reference to a name, which may stand right behind it.
func (d *decoder) name(c *cursor) (string, error) {
	offset := c.u32()
	if c.short {
		return "", errShort
	}
	if int(offset) == c.at { // next name's offset, hash, length, characters, a null
		c.skip(6)
		c.skip(2*int(c.u16()) + 2)
	}
	if name, ok := d.names[offset]; ok {
		return name, nil
	}
	at := int(offset) + 6
	if offset > chunkSize || at+2 > len(d.chunk) {
		return "", fmt.Errorf("a name stands at %d, outside of the chunk", offset)
	}
	n := 2 * int(binary.LittleEndian.Uint16(d.chunk[at:]))
	if at+2+n > len(d.chunk) {
		return "", fmt.Errorf("a name at %d is longer than the chunk", offset)
	}
	before := len(d.text)
	d.appendUTF16(d.chunk[at+2 : at+2+n])
	name, ok := d.intern[string(d.text[before:])]
	if !ok {
		name = string(d.text[before:])
		d.intern[name] = name
	}
	d.text = d.text[:before]
	d.names[offset] = name
	return name, nil
}

// open reads an element from behind its token.
func (d *decoder) open(c *cursor, parent *Element, attributes bool, subs []substitution, dependent bool) error {
	if d.depth++; d.depth > maxDepth {
		return errDeep
	}
	defer func() { d.depth-- }()
	if d.used >= maxElements {
		return errMany
	}
	if dependent {
		c.skip(2)
	}
	c.skip(4) // the element's size
	name, err := d.name(c)
	if err != nil {
		return err
	}
	e := d.element(name)
	parent.Append(e)
	if attributes {
		c.skip(4) // the attributes' size
		if err := d.attributeList(c, e, subs); err != nil {
			return err
		}
	}
	switch token := c.u8(); token {
	case tokenCloseEmpty:
		return nil
	case tokenCloseStart:
		return d.content(c, e, subs, dependent)
	default:
		if c.short {
			return errShort
		}
		return fmt.Errorf("the token 0x%02x stands where the start of <%s> ends", token, name)
	}
}

func (d *decoder) attributeList(c *cursor, e *Element, subs []substitution) error {
	first := len(d.attributes)
	for c.at < c.end && c.chunk[c.at]&^flagMore == tokenAttribute {
		c.skip(1)
		name, err := d.name(c)
		if err != nil {
			return err
		}
		before := len(d.text)
		any := false
		for c.at < c.end {
			token := c.chunk[c.at] &^ flagMore
			if token != tokenValue && token != tokenSubstitution && token != tokenOptional && token != tokenCharRef &&
				token != tokenEntityRef {
				break
			}
			c.skip(1)
			given, err := d.characters(c, token, subs)
			if err != nil {
				return err
			}
			any = any || given
		}
		if any {
			d.attributes = append(d.attributes, Attribute{name, d.taken(before)})
		}
	}
	e.Attributes = d.attributes[first:len(d.attributes):len(d.attributes)]
	return nil
}

// content reads what stands within an element, to its end.
func (d *decoder) content(c *cursor, e *Element, subs []substitution, dependent bool) error {
	from, before := c.at, len(d.text) // text within e that elements within it interrupt is put together again
	var pieces []string
	flush := func() {
		if len(d.text) > before {
			pieces = append(pieces, d.taken(before))
		}
	}
	for {
		token := c.u8()
		if c.short {
			return errShort
		}
		switch kind := token &^ flagMore; kind {
		case tokenEndElement:
			if !dependent && c.at == from+1 { // <Data></Data>, written out, is empty and not null
				e.HasText = true
			}
			text := d.taken(before)
			for i := len(pieces) - 1; i >= 0; i-- {
				text = pieces[i] + text
			}
			e.Text = text
			return nil
		case tokenOpenElement:
			flush()
			if err := d.open(c, e, token&flagMore != 0, subs, dependent); err != nil {
				return err
			}
			before = len(d.text)
		case tokenTemplate:
			flush()
			if err := d.template(c, e); err != nil {
				return err
			}
			before = len(d.text)
		case tokenSubstitution, tokenOptional:
			if done, err := d.structured(c, e, subs, flush, &before); done || err != nil {
				if err != nil {
					return err
				}
				continue
			}
			fallthrough
		case tokenValue, tokenCDATA, tokenCharRef, tokenEntityRef:
			given, err := d.characters(c, kind, subs)
			if err != nil {
				return err
			}
			e.HasText = e.HasText || given
		case tokenPITarget:
			if _, err := d.name(c); err != nil {
				return err
			}
		case tokenPIData:
			c.skip(2 * int(c.u16()))
		default:
			return fmt.Errorf("the token 0x%02x stands within <%s>", token, e.Name)
		}
		if len(d.text) > maxText {
			return errText
		}
	}
}

// structured handles a substitution by elements or by an array. Others it leaves
// unread and reports false.
func (d *decoder) structured(
	c *cursor,
	e *Element,
	subs []substitution,
	flush func(),
	before *int,
) (done bool, err error) {
	if !c.need(3) {
		return false, errShort
	}
	index := int(binary.LittleEndian.Uint16(c.chunk[c.at:]))
	if index >= len(subs) {
		return false, nil
	}
	v := subs[index]
	switch {
	case v.kind == typeBinXML:
		c.skip(3)
		flush()
		err = d.fragment(v.from, v.to, e, nil, false)
		*before = len(d.text)
		return true, err
	case v.kind&typeArray != 0:
		c.skip(3)
		flush()
		first := len(d.values)
		if err := d.array(v); err != nil {
			return true, err
		}
		*before = len(d.text)
		e.HasText = true
		switch e.Values = d.values[first:len(d.values):len(d.values)]; len(e.Values) {
		case 0:
			e.Values, e.HasText = nil, false
		case 1:
			d.text = append(d.text, e.Values[0]...)
			e.Values = nil
		}
		return true, nil
	}
	return false, nil
}

// characters appends what a token stands for to the text, and tells whether that is
// anything but null.
func (d *decoder) characters(c *cursor, token byte, subs []substitution) (bool, error) {
	switch token {
	case tokenValue:
		kind := c.u8()
		if kind != typeString {
			return false, fmt.Errorf("a literal value has the type 0x%02x", kind)
		}
		return true, d.counted(c)
	case tokenCDATA:
		return true, d.counted(c)
	case tokenCharRef:
		d.text = appendRune(d.text, rune(c.u16()))
		return true, nil
	case tokenEntityRef:
		name, err := d.name(c)
		if err != nil {
			return false, err
		}
		text, ok := map[string]string{"amp": "&", "lt": "<", "gt": ">", "quot": `"`, "apos": "'"}[name]
		if !ok {
			text = "&" + name + ";"
		}
		d.text = append(d.text, text...)
		return true, nil
	}
	index := int(c.u16())
	c.skip(1) // the type that the template expects
	if c.short {
		return false, errShort
	}
	if index >= len(subs) {
		return false, nil // a template that is newer than its record
	}
	return d.value(subs[index])
}

// counted reads UTF-16 text behind its length.
func (d *decoder) counted(c *cursor) error {
	n := 2 * int(c.u16())
	if !c.need(n) {
		return errShort
	}
	d.appendUTF16(c.chunk[c.at : c.at+n])
	c.at += n
	return nil
}

// template reads an instance of a template: where its definition stands, and the
// values that fill it.
func (d *decoder) template(c *cursor, parent *Element) error {
	c.skip(5) // a version and the template's identifier
	definition := int(c.u32())
	if c.short {
		return errShort
	}
	if definition == c.at { // next template's offset, a GUID, the size
		c.skip(20)
		c.skip(int(c.u32()))
	}
	if definition < chunkHeader || definition+24 > len(d.chunk) {
		return fmt.Errorf("its template stands at %d, outside of the chunk", definition)
	}
	size := int(binary.LittleEndian.Uint32(d.chunk[definition+20:]))
	if size < 0 || size > len(d.chunk)-definition-24 {
		return fmt.Errorf("its template at %d is longer than the chunk", definition)
	}
	n := int(c.u32())
	if !c.need(4 * n) {
		return errShort
	}
	first := len(d.subs)
	descriptors := c.at
	c.skip(4 * n)
	for i := range n {
		length := int(binary.LittleEndian.Uint16(d.chunk[descriptors+4*i:]))
		kind := d.chunk[descriptors+4*i+2]
		if !c.need(length) {
			return errShort
		}
		d.subs = append(d.subs, substitution{kind, c.at, c.at + length})
		c.at += length
	}
	subs := d.subs[first:len(d.subs):len(d.subs)]
	return d.fragment(definition+24, definition+24+size, parent, subs, true)
}

// taken is the text since a place, which the next text does not overwrite.
func (d *decoder) taken(from int) string {
	if from == len(d.text) {
		return ""
	}
	return unsafe.String(&d.text[from], len(d.text)-from)
}
