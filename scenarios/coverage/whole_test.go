package coverage

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/attackers/technique"
	"hemostat/defenders/ingest"
	"hemostat/scenarios"
	"hemostat/sim"
	"hemostat/sim/background"
	"hemostat/sim/event"
	"hemostat/sim/truth"
	"hemostat/sim/world"
)

// fieldShare is from which share of recorded events on a field counts as always written.
const fieldShare = 0.995

// ofForwarders are fields that the programs which forwarded the recorded events added, and
// names that they changed.
var ofForwarders = []string{"type", "ProcessID", "EventTypeOrignal", "SourceProcessGuid", "TargetProcessGuid"}

type recordedType struct {
	Channel string `json:"channel"`
	EventID int    `json:"event_id"`
	Count   int    `json:"count"`
	Fields  []struct {
		Name  string  `json:"name"`
		Share float64 `json:"share"`
	} `json:"fields"`
}

func recordedTypes(t *testing.T) []recordedType {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", "telemetry", "windows-fields.json.gz"))
	if err != nil {
		t.Skip("real data is absent: telemetry/windows-fields.json.gz")
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	var data struct {
		Types []recordedType `json:"types"`
	}
	require.NoError(t, json.NewDecoder(z).Decode(&data))
	return data.Types
}

// written are the types of events that the library and an ordinary day write with the
// whole audit, by channel and id; of each, the fields that some event lacks.
type written map[string]*writtenType

type writtenType struct {
	events int
	always map[string]int
}

func (w written) add(e *event.Event) {
	key := strings.ToLower(e.Value(event.LogChannel)) + " " + e.Value(event.EventID)
	x := w[key]
	if x == nil {
		x = &writtenType{always: map[string]int{}}
		w[key] = x
	}
	x.events++
	e.Each(func(name, _ string) bool {
		x.always[name]++
		return true
	})
}

func everything(t *testing.T) written {
	t.Helper()
	out := written{}
	stage, err := NewStage()
	require.NoError(t, err)
	for _, x := range technique.All() {
		for _, tool := range x.Tools {
			require.NoError(t, stage.Rehearse(x, tool, func(*world.World) (func(*event.Event), error) { return out.add, nil }))
		}
	}
	day, err := scenarios.Load("quiet-day", nil)
	require.NoError(t, err)
	var engine sim.Engine
	streams := sim.NewStreams(5, 0)
	w := world.Build(stage.spec, streams, truth.NewLedger(), day.Epoch)
	w.UseStreams(streams)
	w.Deliver = out.add
	background.Start(&engine, w, background.Config{Rate: 1})
	engine.Run(3 * time.Hour)
	return out
}

// Each event type that the simulation writes has all fields that recordings of it always
// have, and most recorded types are written.
func TestRecordsAreWhole(t *testing.T) {
	types := recordedTypes(t)
	all := everything(t)
	found := 0
	var absent, lacking []string
	for _, r := range types {
		key := strings.ToLower(r.Channel) + " " + itoa(r.EventID)
		x := all[key]
		if x == nil {
			absent = append(absent, key)
			continue
		}
		found++
		for _, f := range r.Fields {
			if f.Share >= fieldShare && r.Count > 2 && x.always[f.Name] < x.events && !slices.Contains(ofForwarders, f.Name) {
				lacking = append(lacking, key+": "+f.Name)
			}
		}
	}
	t.Logf("%d of %d recorded types are written; not: %s", found, len(types), strings.Join(absent, "; "))
	require.Empty(t, lacking, "fields that recorded events always have")
	require.GreaterOrEqual(t, found, 100)
}

func itoa(n int) string {
	text, _ := json.Marshal(n)
	return string(text)
}

// ofSensor are fields of the program that forwarded the recorded Zeek logs, and of policy
// scripts that not every Zeek loads.
var ofSensor = []string{
	"@stream", "@system", "@proc", "orig_l2_addr", "resp_l2_addr", "ja3", "ja3s", "resp_certificate_sha1", "vlan", "subject", "issuer",
	"validation_status", "cert_chain_fuids", "client_cert_chain_fuids", "curve", // with TLS 1.2 only
}

// Each of Zeek's logs that the simulation writes has the fields that a real Zeek wrote in
// every line.
func TestZeekRecordsAreWhole(t *testing.T) {
	real := map[string]map[string]int{}
	lines := map[string]int{}
	path := filepath.Join("..", "..", "..", "shared", "data", "zeek")
	if _, err := os.Stat(path); err != nil {
		t.Skip("real data is absent: zeek")
	}
	_, err := ingest.Read(t.Context(), []string{path}, ingest.Options{}, func(e *event.Event) error {
		stream := e.Source.Service
		if real[stream] == nil {
			real[stream] = map[string]int{}
		}
		lines[stream]++
		e.Each(func(name, _ string) bool {
			real[stream][strings.Replace(name, "times_", "times.", 1)]++ // the forwarder allows no dots
			return true
		})
		return nil
	})
	require.NoError(t, err)
	stage, err := NewStage()
	require.NoError(t, err)
	seen, ours := map[string]int{}, map[string]map[string]int{}
	note := func(e *event.Event) {
		if e.Source.Product != "zeek" {
			return
		}
		stream := e.Source.Service
		if ours[stream] == nil {
			ours[stream] = map[string]int{}
		}
		seen[stream]++
		e.Each(func(name, _ string) bool {
			ours[stream][name]++
			return true
		})
	}
	for _, x := range technique.All() {
		for _, tool := range x.Tools {
			require.NoError(t, stage.Rehearse(x, tool, func(*world.World) (func(*event.Event), error) { return note, nil }))
		}
	}
	for _, stream := range []string{"conn", "dns", "ssl", "files", "kerberos", "smb_files", "smb_mapping", "dce_rpc"} {
		require.Positive(t, seen[stream], stream)
		require.Positive(t, lines[stream], stream)
		for name, n := range real[stream] {
			if n == lines[stream] && !slices.Contains(ofSensor, name) {
				require.Equal(t, seen[stream], ours[stream][name], "%s lacks %s in some lines", stream, name)
			}
		}
	}
}
