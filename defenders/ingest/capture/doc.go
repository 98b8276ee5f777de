// Package capture reads recorded packets (pcap and pcapng) and says what connections there
// were: who with whom, how many bytes in which rhythm, what client and server said of
// themselves before anything was encrypted, DNS questions, and clear-text requests. It
// decrypts nothing but QUIC's Initial packets, whose keys are public (RFC 9001).
//
// capture.go reads a file packet by packet, decode.go finds the innermost addresses and
// ports below link layers, VLANs and tunnels, connections.go keeps the table of
// connections, stream.go puts the beginning of a TCP direction in order, tls.go, dtls.go
// and quic.go find handshakes, handshake.go parses them. Memory is bounded everywhere; what
// a bound makes it give up is counted. defenders/ingest makes events of the connections in
// the form of Zeek's logs; hemostat fingerprint prints them as they are.
package capture
