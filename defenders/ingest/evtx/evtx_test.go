package evtx

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const recorded = "../../../../shared/data/evtx"

// recordedLogs are event logs that are recorded on Windows, beside each the JSON that
// an independent reader makes of it.
func recordedLogs(t testing.TB) []string {
	files, err := filepath.Glob(filepath.Join(recorded, "*.evtx.gz"))
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("no recorded event logs in " + recorded)
	}
	return files
}

func unzipped(t testing.TB, name string) []byte {
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	data, err := io.ReadAll(z)
	require.NoError(t, err)
	return data
}

// Every record and every field is what the independent reader found.
func TestRecordedLogsEqualAnIndependentReader(t *testing.T) {
	records := 0
	for _, file := range recordedLogs(t) {
		reader := NewReader(bytes.NewReader(unzipped(t, file)))
		lines := bufio.NewReader(bytes.NewReader(unzipped(t, strings.TrimSuffix(file, ".evtx.gz")+".json.gz")))
		for n := 1; ; n++ {
			record, err := reader.Next()
			for damage := (*Damage)(nil); errors.As(err, &damage) && damage.Records == 0; record, err = reader.Next() {
				damage = nil
			}
			line, lineErr := lines.ReadBytes('\n')
			if errors.Is(err, io.EOF) {
				require.Empty(t, bytes.TrimSpace(line), "%s: record %d is missing", file, n)
				break
			}
			require.NoError(t, err, "%s: record %d", file, n)
			require.False(t, lineErr != nil && len(line) == 0, "%s: record %d is one too many", file, n)
			var want map[string]any
			decoder := json.NewDecoder(bytes.NewReader(line))
			decoder.UseNumber()
			require.NoError(t, decoder.Decode(&want))
			got := map[string]any{record.Root.Name: asJSON(record.Root)}
			wantText, err := json.Marshal(plain(want))
			require.NoError(t, err)
			gotText, err := json.Marshal(plain(got))
			require.NoError(t, err)
			if !bytes.Equal(wantText, gotText) {
				at := 0
				for at < len(wantText) && at < len(gotText) && wantText[at] == gotText[at] {
					at++
				}
				t.Errorf("%s: record %d:\nwant %.200s\ngot  %.200s", filepath.Base(file), n, wantText[max(0, at-60):], gotText[max(0, at-60):])
			}
			records++
		}
	}
	t.Logf("%d records", records)
	require.Positive(t, records)
}

// asJSON writes an element as the independent reader does: attributes under
// #attributes, Data under its name, text of elements with attributes under #text.
func asJSON(e *Element) any {
	out := map[string]any{}
	attributes := map[string]any{}
	for _, a := range e.Attributes {
		attributes[a.Name] = a.Value
	}
	named := e.Name == "Data" && attributes["Name"] != nil
	if len(attributes) > 0 && !named {
		out["#attributes"] = attributes
	}
	var unnamed []any
	for c := e.First; c != nil; c = c.Next {
		name := c.Name
		if len(c.Attributes) == 0 && name == "Data" {
			if v := asJSON(c); v != nil {
				unnamed = append(unnamed, v)
			}
			continue
		}
		if n, ok := c.Attribute("Name"); ok && name == "Data" {
			name = n
		}
		key := name
		for i := 1; out[key] != nil; i++ {
			key = fmt.Sprintf("%s_%d", name, i)
		}
		out[key] = asJSON(c)
	}
	if unnamed != nil {
		out["Data"] = unnamed
	}
	var text any
	switch {
	case e.Values != nil:
		var all []any
		for _, v := range e.Values {
			all = append(all, v)
		}
		text = all
	case e.HasText && (e.Text != "" || e.Name == "Data" || e.Name == "UserData"): // the other reader writes null
		text = e.Text
	}
	if e.First == nil && len(out) == 0 && (e.Values == nil) {
		return text
	}
	if text != nil {
		out["#text"] = text
	}
	return out
}

// plain writes numbers and truth values as text and leaves out what is null, so that
// only the values are compared.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case bool:
		return fmt.Sprint(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		if len(out) == 1 {
			return out[0]
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if p := plain(x); p != nil {
				out[k] = p
			}
		}
		if text, ok := out["#text"]; ok && len(out) == 1 {
			return text
		}
		if len(out) == 0 {
			return nil
		}
		return out
	}
	return v
}
