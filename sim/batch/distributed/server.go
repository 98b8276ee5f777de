package distributed

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Server says where JetStream is and how to get in.
type Server struct {
	// URL is nats://HOST:PORT or tls://HOST:PORT, several with commas for a cluster, or
	// embedded://HOST:PORT for a server within the coordinator's process.
	URL string
	// Credentials is a file of NATS credentials (a JWT and its seed), TokenFile one of a token.
	Credentials, TokenFile string
	// CA is a file of certificates to trust in place of the system's; Certificate and Key are
	// those of this client, or of the embedded server.
	CA, Certificate, Key string
}

const (
	embedded    = "embedded"
	defaultPort = 4222
	startTime   = 10 * time.Second
	retryPause  = time.Second
)

// Embedded tells whether the server runs within the coordinator's process.
func (s Server) Embedded() bool {
	return s.URL == embedded || strings.HasPrefix(s.URL, embedded+"://")
}

// Check reports an address or files that cannot be meant.
func (s Server) Check() error {
	if (s.Certificate == "") != (s.Key == "") {
		return errors.New("a certificate and its key go together; one of them is missing")
	}
	if s.Embedded() {
		host, _, err := s.listenAt()
		switch {
		case err != nil:
			return err
		case s.Credentials != "":
			return errors.New("an embedded server takes a token, not credentials")
		case s.TokenFile == "" && !loopback(host):
			return fmt.Errorf("an embedded server that others can reach (%s) needs a token: "+
				"write one into a file and name it by --engine-token-file", host)
		}
		return nil
	}
	for _, one := range strings.Split(s.URL, ",") {
		scheme, rest, found := strings.Cut(strings.TrimSpace(one), "://")
		if !found || rest == "" || scheme != "nats" && scheme != "tls" {
			return fmt.Errorf("nats://HOST:PORT, tls://HOST:PORT or embedded://HOST:PORT is expected, not %q", one)
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (s Server) listenAt() (host string, port int, err error) {
	address := strings.TrimPrefix(strings.TrimPrefix(s.URL, embedded), "://")
	if address == "" {
		return "127.0.0.1", defaultPort, nil
	}
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("embedded://HOST:PORT is expected, not %q", s.URL)
	}
	return host, port, nil
}

func (s Server) token() (string, error) {
	if s.TokenFile == "" {
		return "", nil
	}
	data, err := os.ReadFile(s.TokenFile)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", fmt.Errorf("%s is empty; a token is expected there", s.TokenFile)
	}
	return token, nil
}

// Start starts the embedded server, which keeps its streams in a folder and is asked for by the
// URL that is returned. What an earlier one has left in the folder is taken up again.
func (s Server) Start(dir string) (url string, stop func(), err error) {
	host, port, err := s.listenAt()
	if err != nil {
		return "", nil, err
	}
	token, err := s.token()
	if err != nil {
		return "", nil, err
	}
	o := &natsserver.Options{ServerName: "hemostat", Host: host, Port: port, Authorization: token, JetStream: true,
		StoreDir: dir, NoSigs: true, NoLog: true, DisableJetStreamBanner: true}
	scheme := "nats"
	if s.Certificate != "" {
		scheme = "tls"
		o.TLS = true
		o.TLSConfig, err = natsserver.GenTLSConfig(&natsserver.TLSConfigOpts{CertFile: s.Certificate, KeyFile: s.Key, CaFile: s.CA})
		if err != nil {
			return "", nil, err
		}
	}
	srv, err := natsserver.NewServer(o)
	if err != nil {
		return "", nil, err
	}
	listening, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))) // the server itself would end the process
	if err != nil {
		return "", nil, err
	}
	if err := listening.Close(); err != nil {
		return "", nil, err
	}
	srv.Start()
	if !srv.ReadyForConnections(startTime) {
		srv.Shutdown()
		return "", nil, fmt.Errorf("the embedded server at %s is not ready within %s", net.JoinHostPort(host, strconv.Itoa(port)), startTime)
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port)), func() { srv.Shutdown(); srv.WaitForShutdown() }, nil
}

// Connect connects to the server as a client of that name and stays connected through restarts of
// the server. A server that cannot be reached is an error, or with patient asked for again until
// the context ends; note is told of what is waited for.
func (s Server) Connect(ctx context.Context, name string, patient bool, note func(string)) (*nats.Conn, error) {
	options := []nats.Option{nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(retryPause / 2), nats.Timeout(5 * time.Second),
		nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				note(fmt.Sprintf("the connection to %s is lost (%v); trying again", s.URL, err))
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { note("connected to " + s.URL + " again") })}
	token, err := s.token()
	if err != nil {
		return nil, err
	}
	if token != "" {
		options = append(options, nats.Token(token))
	}
	if s.Credentials != "" {
		options = append(options, nats.UserCredentials(s.Credentials))
	}
	if s.CA != "" {
		options = append(options, nats.RootCAs(s.CA))
	}
	if s.Certificate != "" && s.Key != "" {
		options = append(options, nats.ClientCert(s.Certificate, s.Key))
	}
	for said := false; ; said = true {
		conn, err := nats.Connect(s.URL, options...)
		if err == nil {
			return conn, nil
		}
		if !patient || !mayPass(err) {
			return nil, fmt.Errorf("%s: %w", s.URL, err)
		}
		if !said {
			note(fmt.Sprintf("%s: %v; trying again", s.URL, err))
		}
		if !pause(ctx, retryPause) {
			return nil, ctx.Err()
		}
	}
}

// mayPass tells whether a connection that failed may succeed later: a server that is not there yet,
// but not one that refuses, or that nobody trusts.
func mayPass(err error) bool {
	var distrusted *tls.CertificateVerificationError
	var refused tls.AlertError
	if errors.As(err, &distrusted) || errors.As(err, &refused) || strings.Contains(err.Error(), "tls:") {
		return false
	}
	var unreachable *net.OpError
	var unknown *net.DNSError // a name that a cluster has not given out yet
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.As(err, &unreachable) || errors.As(err, &unknown)
}

// pause waits, and tells whether the context goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
