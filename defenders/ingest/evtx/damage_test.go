package evtx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// readAll reads a log to its end and gives the ids of its records and the faults.
func readAll(t testing.TB, log []byte) (ids []uint64, damages []*Damage) {
	r := NewReader(bytes.NewReader(log))
	for steps := 0; ; steps++ {
		require.Less(t, steps, 1_000_000, "reading comes to an end")
		record, err := r.Next()
		var damage *Damage
		switch {
		case errors.Is(err, io.EOF):
			return ids, damages
		case errors.As(err, &damage):
			damages = append(damages, damage)
		case err != nil:
			t.Fatal(err)
		default:
			ids = append(ids, record.ID)
		}
	}
}

// lost is how many records could not be read.
func lost(damages []*Damage) int {
	n := 0
	for _, d := range damages {
		n += d.Records
	}
	return n
}

func TestAnOwnLogIsReadWhole(t *testing.T) {
	log := smallLog(5)
	ids, damages := readAll(t, log)
	require.Equal(t, []uint64{1, 2, 3, 4, 5}, ids)
	require.Empty(t, damages)
	r := NewReader(bytes.NewReader(log))
	record, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 3, 2, 8, 15, 0, 0, time.UTC), record.Written)
	system := record.Root.Child("System")
	require.Equal(t, "1", system.Child("EventID").Text)
	require.Equal(t, "pc1", system.Child("Computer").Text)
	require.Equal(t, "Microsoft-Windows-Sysmon/Operational", system.Child("Channel").Text)
	data := record.Root.Child("EventData").First
	name, _ := data.Attribute("Name")
	require.Equal(t, "Image", name)
	require.Equal(t, `C:\Windows\System32\whoami.exe`, data.Text)
	_, there := data.Attribute("Nomen")
	require.False(t, there)
	require.Nil(t, record.Root.Child("UserData"))
}

// Chunks that were carved out of a disk have no file around them.
func TestCarvedChunks(t *testing.T) {
	log := smallLog(3)
	chunk := log[fileHeaderSize:]
	ids, damages := readAll(t, chunk)
	require.Equal(t, []uint64{1, 2, 3}, ids)
	require.Empty(t, damages)
	carved := append(append(append(make([]byte, 777), chunk...), bytes.Repeat([]byte{0xaa}, 1000)...), chunk...)
	carved[0] = 1
	ids, damages = readAll(t, carved)
	require.Equal(t, []uint64{1, 2, 3, 1, 2, 3}, ids)
	require.NotEmpty(t, damages)
	reserved := append(append([]byte{}, log...), make([]byte, chunkSize)...)
	ids, damages = readAll(t, append(reserved, chunk...))
	require.Equal(t, []uint64{1, 2, 3, 1, 2, 3}, ids)
	require.Empty(t, damages, "a chunk of zeroes is reserved")
}

// A log that is cut anywhere gives what stands before the cut, and says so.
func TestCutLogs(t *testing.T) {
	log := smallLog(4)
	for cut := 1; cut < len(log); cut += 97 {
		ids, damages := readAll(t, log[:cut])
		for i, id := range ids {
			require.Equal(t, uint64(i+1), id)
		}
		if cut != fileHeaderSize {
			require.NotEmpty(t, damages, "cut at %d", cut)
		}
		if cut >= fileHeaderSize+chunkHeader {
			require.Equal(t, 4, len(ids)+lost(damages), "cut at %d", cut)
		}
	}
}

// A record that is damaged costs itself only, and the fault names its place.
func TestOneDamagedRecord(t *testing.T) {
	log := smallLog(4)
	second := bytes.Index(log[fileHeaderSize+chunkHeader+8:], recordMagic) + fileHeaderSize + chunkHeader + 8
	for _, harm := range []func(r []byte){
		func(r []byte) { binary.LittleEndian.PutUint32(r[4:], 0xffffffff) },
		func(r []byte) { binary.LittleEndian.PutUint32(r[4:], 8) },
		func(r []byte) { copy(r, "nope") },
		func(r []byte) { r[recordHeader+4] = 0x77 },
		func(r []byte) { binary.LittleEndian.PutUint32(r[recordHeader+10:], 0xfffffff0) }, // the template's place
		func(r []byte) { binary.LittleEndian.PutUint32(r[recordHeader+14:], 0x7fffffff) }, // how many values
	} {
		hurt := bytes.Clone(log)
		harm(hurt[second:])
		ids, damages := readAll(t, hurt)
		require.Equal(t, []uint64{1, 3, 4}, ids)
		lost := 0
		for _, d := range damages {
			if d.Records > 0 {
				lost += d.Records
				require.GreaterOrEqual(t, d.Offset, int64(second))
				require.Less(t, d.Offset, int64(second+200))
				require.Contains(t, d.Error(), "at byte ")
			}
		}
		require.Equal(t, 1, lost)
	}
}

// The numbers of the records around a hole tell how many it swallowed.
func TestHoles(t *testing.T) {
	log := smallLog(9)
	var places []int
	for at := 0; ; at++ {
		next := bytes.Index(log[at:], recordMagic)
		if next < 0 {
			break
		}
		at += next
		places = append(places, at)
	}
	require.Len(t, places, 9)
	for _, hole := range [][2]int{{1, 4}, {0, 2}, {3, 8}, {6, 9}} {
		hurt := bytes.Clone(log)
		to := places[8] + 40
		if hole[1] < 9 {
			to = places[hole[1]]
		}
		for i := places[hole[0]]; i < to; i++ {
			hurt[i] = 0x5a
		}
		ids, damages := readAll(t, hurt)
		if hole[0] > 0 { // the first record holds the template of all
			require.Len(t, ids, 9-(hole[1]-hole[0]), "%v", hole)
		}
		require.Equal(t, 9, len(ids)+lost(damages), "%v", hole)
	}
}

// Templates that hold themselves, and values that hold themselves, come to an end.
func TestTemplatesThatReferToThemselves(t *testing.T) {
	b := newBuilder()
	b.record(1, "pc1", utf16Bytes("x"))
	// The definition's first element is replaced by an instance of the same template.
	at := b.template + 24 + 4
	instance := []byte{tokenTemplate, 1, 7, 0, 0, 0}
	instance = binary.LittleEndian.AppendUint32(instance, uint32(b.template))
	instance = binary.LittleEndian.AppendUint32(instance, 0)
	copy(b.chunk[at:], instance)
	ids, damages := readAll(t, b.file())
	require.Empty(t, ids)
	require.NotEmpty(t, damages)
	require.Contains(t, damages[len(damages)-1].Reason, "nest deeper")
}

func FuzzReader(f *testing.F) {
	f.Add(smallLog(2))
	f.Add(smallLog(2)[fileHeaderSize:])
	f.Add(smallLog(3)[:fileHeaderSize+chunkHeader+300])
	f.Add([]byte("ElfFile\x00"))
	f.Fuzz(func(t *testing.T, log []byte) {
		r := NewReader(bytes.NewReader(log))
		for {
			record, err := r.Next()
			var damage *Damage
			switch {
			case errors.Is(err, io.EOF):
				return
			case errors.As(err, &damage):
				require.LessOrEqual(t, damage.Offset, int64(len(log)))
			case err != nil:
				t.Fatal(err)
			default:
				require.NotNil(t, record.Root)
			}
		}
	})
}
