package main

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"crypto/sha256"

	"github.com/spf13/cobra"

	"hemostat/defenders/ingest"
	"hemostat/defenders/ingest/capture"
	"hemostat/sim/fingerprint"
)

func fingerprintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "fingerprint FILE...",
		Short: "Print the TLS connections of a capture with their JA3 and JA4 fingerprints",
		Long: `Reads recorded packets (pcap, pcapng; compressed, in archives and folders too, - for
standard input) and prints one JSON object a TLS connection, in the order in which
the hellos were complete: over TCP on any port, also behind a proxy's greeting or
STARTTLS, over QUIC and over DTLS; below VLANs, MPLS, PPPoE, GRE, ERSPAN, VXLAN,
Geneve, GTP and IP in IP. Fingerprints of the server stand where its hello was seen.

JA4 is FoxIO's method under the BSD licence; JA4S is under the FoxIO licence 1.1,
which permits research and internal use.`,
		Example: `  hemostat fingerprint capture.pcapng
  hemostat fingerprint capture.pcap.gz | jq -r '[.sni, .ja4] | @tsv'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			summary, passedOver, err := ingest.ReadCaptures(c.Context(), files, capture.Handler{
				TLS: func(x *capture.Connection) error { return printJSONLine(c.OutOrStdout(), fingerprintLine(x)) },
			})
			errOut := c.ErrOrStderr()
			for _, why := range slices.Sorted(maps.Keys(summary.Skipped)) {
				if why != capture.NoIP {
					fmt.Fprintf(errOut, "skipped, %s: %s\n", plural(summary.Skipped[why], "packet", "packets"), safe(why))
				}
			}
			if summary.Malformed > 0 {
				fmt.Fprintf(errOut, "%s could not be read\n",
					plural(summary.Malformed, "handshake message", "handshake messages"))
			}
			for _, name := range passedOver {
				fmt.Fprintf(errOut, "passed over, as it is no capture: %s\n", safe(name))
			}
			return err
		},
	}
}

// fingerprintLine is what is printed of a connection.
func fingerprintLine(c *capture.Connection) any {
	h := c.ClientHello
	line := struct {
		Time       string   `json:"time"`
		Src        string   `json:"src"`
		Dst        string   `json:"dst"`
		SrcPort    string   `json:"srcport"`
		DstPort    string   `json:"dstport"`
		Transport  string   `json:"transport"`
		SNI        string   `json:"sni"`
		ALPN       []string `json:"alpn"`
		JA3        string   `json:"ja3"`
		JA3Text    string   `json:"ja3_r"`
		JA4        string   `json:"ja4"`
		JA4Raw     string   `json:"ja4_r"`
		JA4Orig    string   `json:"ja4_o"`
		JA4OrigRaw string   `json:"ja4_ro"`
		Version    string   `json:"version,omitempty"`
		JA3S       string   `json:"ja3s,omitempty"`
		JA4S       string   `json:"ja4s,omitempty"`
		JA4SRaw    string   `json:"ja4s_r,omitempty"`
		// Certificates are the SHA-256 sums of what the server showed.
		Certificates []string `json:"certificates,omitempty"`
	}{
		Time: time.Unix(0, int64(c.HelloAt)).UTC().Format(time.RFC3339Nano),
		Src:  c.Client().Addr().String(), Dst: c.Server().Addr().String(),
		SrcPort: strconv.Itoa(int(c.Client().Port())), DstPort: strconv.Itoa(int(c.Server().Port())),
		Transport: map[fingerprint.Transport]string{fingerprint.TCP: "tcp", fingerprint.QUIC: "quic",
			fingerprint.DTLS: "dtls"}[h.Transport],
		SNI: h.ServerName, ALPN: orEmpty(h.ALPN), JA3: h.JA3(), JA3Text: h.JA3Text(), JA4: h.JA4(), JA4Raw: h.JA4Raw(),
		JA4Orig: h.JA4Original(), JA4OrigRaw: h.JA4OriginalRaw(),
	}
	if s := c.ServerHello; s != nil {
		line.Version = fingerprint.VersionName(s.UsedVersion())
		line.JA3S, line.JA4S, line.JA4SRaw = s.JA3S(), s.JA4S(), s.JA4SRaw()
	}
	for _, der := range c.Certificates {
		sum := sha256.Sum256(der)
		line.Certificates = append(line.Certificates, hex.EncodeToString(sum[:]))
	}
	return line
}
