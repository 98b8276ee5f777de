package capture

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shared is a folder of the real data that stands beside the project, where it is there.
func shared(t testing.TB, name string) string {
	t.Helper()
	folder := filepath.Join("..", "..", "..", "..", "shared", "data", name)
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("%s is absent: %v", folder, err)
	}
	return folder
}

// vector is what the reference implementation says of a connection.
type vector struct {
	Src, Dst, SrcPort, DstPort, Domain string
	JA4                                string `json:"JA4.1"`
	JA4R                               string `json:"JA4_r.1"`
	JA4O                               string `json:"JA4_o.1"`
	JA4RO                              string `json:"JA4_ro.1"`
	JA4S, JA4S_r                       string
}

func TestFingerprintsAreThoseOfTheReferenceImplementation(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared(t, "ja4"), "*.pcap*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			var want []vector
			require.NoError(t, json.Unmarshal(text, &want))
			in, err := os.ReadFile(strings.TrimSuffix(file, ".json"))
			require.NoError(t, err)
			got := map[string]*Connection{}
			summary, err := Read(context.Background(), bytes.NewReader(in), DefaultLimits(), Handler{
				TLS: func(c *Connection) error {
					got[c.Client().String()+c.Server().String()] = c
					return nil
				},
			})
			require.NoError(t, err)
			t.Logf("%+v", summary)
			for _, w := range want {
				c := got[endText(w.Src, w.SrcPort)+endText(w.Dst, w.DstPort)]
				require.NotNil(t, c, "%+v", w)
				require.Equal(t, w.Domain, c.ClientHello.ServerName)
				require.Equal(t, []string{w.JA4, w.JA4R, w.JA4O, w.JA4RO},
					[]string{c.ClientHello.JA4(), c.ClientHello.JA4Raw(), c.ClientHello.JA4Original(),
						c.ClientHello.JA4OriginalRaw()})
				if w.JA4S != "" {
					require.Equal(t, []string{w.JA4S, w.JA4S_r}, []string{c.ServerHello.JA4S(), c.ServerHello.JA4SRaw()})
				}
			}
			tcp := 0
			for _, c := range got {
				if !c.UDP {
					tcp++
				}
			}
			require.Equal(t, len(want), tcp, "the reference lists connections over TCP")
		})
	}
}

func endText(address, port string) string {
	if strings.Contains(address, ":") {
		address = "[" + address + "]"
	}
	_, err := strconv.Atoi(port)
	if err != nil {
		return ""
	}
	return address + ":" + port
}
