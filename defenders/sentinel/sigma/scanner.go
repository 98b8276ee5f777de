package sigma

import (
	"math"
	"math/bits"
	"unsafe"
)

// scanner looks for many literals in one pass over a text, which is ASCII of any
// case, or folded. It tells the matcher of every atom whose literal it finds.
type scanner interface {
	scan(text string, m *Matcher)
	// least is the length of the shortest literal.
	least() int
}

// pattern is a literal, without its case, and the atoms that want it.
type pattern struct {
	literal string
	atoms   []int32
}

func (m *Matcher) seeAll(atoms []int32) {
	for _, id := range atoms {
		m.see(id)
	}
}

// leastSampled is the shortest literal for which sampling beats a table that looks
// at every byte.
const leastSampled = 6

// fewShort is how many short literals are not worth going over a field for: the
// rules that wait for them are looked at each time instead.
const fewShort = 12

// newScanners divides literals between the two ways to look for them. Short ones
// are not looked for when rules wait for a few of them only, and longer ones that
// no rule waits for not when they would make the sampler slower; it returns those.
func newScanners(patterns []pattern, waiting map[string][]int32) (scanners []scanner, left []pattern) {
	shortest, wanted := math.MaxInt, 0 // of the literals that rules wait for
	for _, p := range patterns {
		switch {
		case len(waiting[p.literal]) == 0:
		case len(p.literal) < leastSampled:
			wanted++
		default:
			shortest = min(shortest, len(p.literal))
		}
	}
	var long, short []pattern
	for _, p := range patterns {
		switch {
		case len(p.literal) >= shortest:
			long = append(long, p)
		case len(p.literal) < leastSampled && wanted > fewShort:
			short = append(short, p)
		default:
			left = append(left, p)
		}
	}
	if len(long) > 0 {
		scanners = append(scanners, newSampler(long))
	}
	if len(short) > 0 {
		scanners = append(scanners, newAutomaton(short))
	}
	return scanners, left
}

const (
	// maxStride bounds the distance of samples.
	maxStride = 16
	// sparse is how many bits of the table of blocks there are for each block.
	sparse = 32
	// blockSize is the length of a sample in bytes.
	blockSize = 4
)

// sampler finds literals by looking at a block of four bytes at every stride-th
// place only. The stride is chosen so that every literal covers one such block
// wherever it stands, and each literal is known by the stretch whose blocks are
// rarest among the literals (after the q-gram samples of Sutinen and Tarhio 1996).
type sampler struct {
	shortest, stride int
	shift            uint     // of a block's hash
	there            []uint64 // bits of the blocks' hashes
	rank             []uint32 // by word of there: how many bits are set before it
	bucket           []uint32 // by set bit: where its probes begin
	probes           []probe
	patterns         []pattern
}

// probe is a literal that has a block at an offset.
type probe struct {
	pattern int32
	offset  uint16
	// four more bytes of the literal, and how far from the block they stand
	aside int16
	check uint32
	last  bool // of its bucket
}

// hash folds four bytes into 32 bits, the highest of which are the best; a letter
// and its capital give the same. That some others do too costs time and no verdict.
func hash(block uint32) uint32 { return (block | 0x20202020) * 2654435761 }

// blockAt is in the machine's byte order.
func blockAt(s string, i int) uint32 {
	_ = s[i+blockSize-1]
	return *(*uint32)(unsafe.Add(unsafe.Pointer(unsafe.StringData(s)), i))
}

func newSampler(patterns []pattern) *sampler {
	s := &sampler{shortest: math.MaxInt, patterns: patterns}
	often := blocksOf(map[uint32]int{}, commonText, 40)
	for _, p := range patterns {
		s.shortest = min(s.shortest, len(p.literal))
		blocksOf(often, p.literal, 1)
	}
	s.stride = min(s.shortest-blockSize+1, maxStride)
	size := min(max(bits.Len(uint(sparse*s.stride*len(patterns))), 8), 18)
	s.shift = uint(32 - size)
	found := map[uint32][]probe{}
	for i, p := range patterns {
		from := s.rarest(p.literal, often)
		for at := from; at < from+s.stride; at++ {
			h := hash(blockAt(p.literal, at)) >> s.shift
			aside := at + blockSize
			if aside+blockSize > len(p.literal) {
				aside = len(p.literal) - blockSize
			}
			if aside-at < blockSize && at >= blockSize {
				aside = at - blockSize
			}
			found[h] = append(found[h], probe{int32(i), uint16(at), int16(aside - at), lowered4(blockAt(p.literal, aside)), false})
		}
	}
	s.there, s.rank = make([]uint64, 1<<size/64), make([]uint32, 1<<size/64)
	for h := range uint32(1 << size) {
		if h&63 == 0 {
			s.rank[h>>6] = uint32(len(s.bucket))
		}
		if list := found[h]; len(list) > 0 {
			s.there[h>>6] |= 1 << (h & 63)
			s.bucket = append(s.bucket, uint32(len(s.probes)))
			list[len(list)-1].last = true
			s.probes = append(s.probes, list...)
		}
	}
	return s
}

// commonText is made of pieces that stand in texts all the time, which are bad
// samples.
const commonText = `c:\windows\system32\ c:\program files (x86)\common files\microsoft\ c:\users\public\appdata\local\temp\roaming\ ` +
	`\windowspowershell\v1.0\powershell.exe -noprofile -command -executionpolicy -encodedcommand cmd.exe /c .dll .exe .ps1 ` +
	`https://www.http://localhost 127.0.0.1 0000000000 software\microsoft\windows\currentversion\ \registry\machine\system\currentcontrolset\services\ ` +
	`new-object system.net process service administrator configuration security version network /usr/bin/ /usr/lib/ /var/lib/ /etc/`

// blocksOf counts the blocks of a text.
func blocksOf(often map[uint32]int, text string, weight int) map[uint32]int {
	for i := 0; i+blockSize <= len(text); i++ {
		often[hash(blockAt(text, i))] += weight
	}
	return often
}

// rarest is where the stretch of a literal begins whose blocks are rarest. It
// looks at the first 64 KiB.
func (s *sampler) rarest(literal string, often map[uint32]int) int {
	best, at := math.MaxInt, 0
	for from := 0; from+s.stride+blockSize-1 <= min(len(literal), math.MaxUint16); from++ {
		worst := 0
		for i := from; i < from+s.stride; i++ {
			worst += often[hash(blockAt(literal, i))]
		}
		if worst < best {
			best, at = worst, from
		}
	}
	return at
}

func (s *sampler) least() int { return s.shortest }

// scan loads without checks of bounds, which the loop's condition makes needless:
// a block ends within the text, and a hash is below the table's size.
func (s *sampler) scan(text string, m *Matcher) {
	first, there := unsafe.Pointer(unsafe.StringData(text)), unsafe.Pointer(unsafe.SliceData(s.there))
	shift, stride := s.shift&31, s.stride
	for at := 0; at+blockSize <= len(text); at += stride {
		h := hash(*(*uint32)(unsafe.Add(first, at))) >> shift
		word, bit := *(*uint64)(unsafe.Add(there, h>>6<<3)), uint64(1)<<(h&63)
		if word&bit != 0 {
			s.verify(text, at, s.bucket[s.rank[h>>6]+uint32(bits.OnesCount64(word&(bit-1)))], m)
		}
	}
}

// verify looks at the literals that have a block as the text has at a place.
func (s *sampler) verify(text string, at int, bucket uint32, m *Matcher) {
	for i := int(bucket); ; i++ {
		p := &s.probes[i]
		aside := at + int(p.aside)
		if aside >= 0 && aside+blockSize <= len(text) && lowered4(blockAt(text, aside)) == p.check {
			s.compare(text, at-int(p.offset), &s.patterns[p.pattern], m)
		}
		if p.last {
			return
		}
	}
}

func (s *sampler) compare(text string, from int, p *pattern, m *Matcher) {
	to := from + len(p.literal)
	if from >= 0 && to <= len(text) && (len(p.atoms) > 1 || !m.saw(p.atoms[0])) && equalFolded(text[from:to], p.literal) {
		m.seeAll(p.atoms)
	}
}
