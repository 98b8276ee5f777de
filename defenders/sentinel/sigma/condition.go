package sigma

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"hemostat/sim/suggest"
)

// The condition grammar (specification, "Condition"): or binds weakest, then
// and, then not; "1 of" and "all of" take a selection pattern or "them".

func parseCondition(text string, names []string) (node, error) {
	p := &conditionParser{tokens: tokenize(text), names: names}
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.at < len(p.tokens) {
		return nil, fmt.Errorf("unexpected %q", p.tokens[p.at])
	}
	return n, nil
}

func tokenize(text string) []string {
	text = strings.ReplaceAll(text, "(", " ( ")
	return strings.Fields(strings.ReplaceAll(text, ")", " ) "))
}

type conditionParser struct {
	tokens []string
	at     int
	depth  int
	names  []string
}

func (p *conditionParser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

func (p *conditionParser) take(word string) bool {
	if strings.EqualFold(p.peek(), word) {
		p.at++
		return true
	}
	return false
}

func (p *conditionParser) or() (node, error) {
	first, err := p.and()
	if err != nil {
		return nil, err
	}
	parts := []node{first}
	for p.take("or") {
		next, err := p.and()
		if err != nil {
			return nil, err
		}
		parts = append(parts, next)
	}
	return anyOf(parts), nil
}

func (p *conditionParser) and() (node, error) {
	first, err := p.not()
	if err != nil {
		return nil, err
	}
	parts := []node{first}
	for p.take("and") {
		next, err := p.not()
		if err != nil {
			return nil, err
		}
		parts = append(parts, next)
	}
	return allOf(parts), nil
}

const maxConditionDepth = 200

func (p *conditionParser) not() (node, error) {
	if p.depth++; p.depth > maxConditionDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxConditionDepth)
	}
	defer func() { p.depth-- }()
	if p.take("not") {
		n, err := p.not()
		if err != nil {
			return nil, err
		}
		return notNode{n}, nil
	}
	if p.take("(") {
		n, err := p.or()
		if err != nil {
			return nil, err
		}
		if !p.take(")") {
			return nil, fmt.Errorf("a closing parenthesis is missing")
		}
		return n, nil
	}
	return p.operand()
}

func (p *conditionParser) operand() (node, error) {
	word := p.peek()
	if word == "" {
		return nil, fmt.Errorf("it ends where a selection is expected")
	}
	p.at++
	if (word == "1" || strings.EqualFold(word, "any") || strings.EqualFold(word, "all")) && p.take("of") {
		pattern := p.peek()
		p.at++
		matching := p.matching(pattern)
		if len(matching) == 0 {
			return nil, fmt.Errorf("no selection is named like %q; selections: %s", pattern, strings.Join(p.names, ", "))
		}
		if strings.EqualFold(word, "all") {
			return allOf(matching), nil
		}
		return anyOf(matching), nil
	}
	index := slices.Index(p.names, word)
	if index < 0 && strings.EqualFold(p.peek(), "of") {
		return nil, fmt.Errorf("%q of is not known; write 1 of or all of, or join selections with and", word)
	}
	if index < 0 {
		return nil, fmt.Errorf(
			"no selection is named %q%s; selections: %s",
			word,
			suggest.For(word, p.names),
			strings.Join(p.names, ", "),
		)
	}
	return reference(index), nil
}

// matching lists the selections that a pattern or "them" means; names that begin
// with an underscore are left out of "them".
func (p *conditionParser) matching(pattern string) []node {
	var out []node
	for i, name := range p.names {
		ok := strings.EqualFold(pattern, "them") && !strings.HasPrefix(name, "_")
		if !ok && pattern != "" {
			ok, _ = path.Match(pattern, name)
		}
		if ok {
			out = append(out, reference(i))
		}
	}
	return out
}
