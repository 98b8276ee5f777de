package distributed

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"
)

// certify writes a certificate of 127.0.0.1 that is its own authority, and its key.
func certify(t *testing.T) (cert, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "engine"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return cert, key
}

func TestTheConnectionIsEncrypted(t *testing.T) {
	e := startEngine(t)
	e.stop()
	e.at.Certificate, e.at.Key = certify(t)
	url, stop, err := e.at.Start(e.dir)
	require.NoError(t, err)
	e.stop = stop
	require.True(t, strings.HasPrefix(url, "tls://"))
	_, err = Server{URL: url}.Connect(t.Context(), "x", true, func(string) {})
	require.ErrorContains(t, err, "certificate", "an authority that nobody trusts is told at once")
	nc, err := Server{URL: url, CA: e.at.Certificate}.Connect(t.Context(), "x", false, func(string) {})
	require.NoError(t, err)
	state, err := nc.TLSConnectionState()
	require.NoError(t, err)
	require.True(t, state.HandshakeComplete)
	nc.Close()
}

func TestCredentialsLetIn(t *testing.T) {
	operator, err := nkeys.CreateOperator()
	require.NoError(t, err)
	account, err := nkeys.CreateAccount()
	require.NoError(t, err)
	user, err := nkeys.CreateUser()
	require.NoError(t, err)
	public := func(k nkeys.KeyPair) string {
		p, err := k.PublicKey()
		require.NoError(t, err)
		return p
	}
	operatorClaims := jwt.NewOperatorClaims(public(operator))
	accountJWT, err := jwt.NewAccountClaims(public(account)).Encode(operator)
	require.NoError(t, err)
	userJWT, err := jwt.NewUserClaims(public(user)).Encode(account)
	require.NoError(t, err)
	seed, err := user.Seed()
	require.NoError(t, err)
	credentials, err := jwt.FormatUserConfig(userJWT, seed)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "worker.creds")
	require.NoError(t, os.WriteFile(file, credentials, 0o600))

	resolver := &natsserver.MemAccResolver{}
	require.NoError(t, resolver.Store(public(account), accountJWT))
	srv, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
		TrustedOperators: []*jwt.OperatorClaims{operatorClaims}, AccountResolver: resolver})
	require.NoError(t, err)
	srv.Start()
	defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
	require.True(t, srv.ReadyForConnections(10*time.Second))
	_, err = Server{URL: srv.ClientURL()}.Connect(t.Context(), "x", true, func(string) {})
	require.ErrorContains(t, err, "Authorization Violation")
	nc, err := Server{URL: srv.ClientURL(), Credentials: file}.Connect(t.Context(), "x", false, func(string) {})
	require.NoError(t, err)
	nc.Close()
	_, err = Server{URL: srv.ClientURL(), Credentials: file + "x"}.Connect(t.Context(), "x", true, func(string) {})
	require.ErrorContains(t, err, "no such file")
}
