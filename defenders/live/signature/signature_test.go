package signature

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSignatures(t *testing.T) {
	now := time.Unix(1772439300, 0)
	secret, body := []byte("secret"), []byte(`{"approved":true}`)
	good := Sign(secret, body, now)
	assert.NoError(t, Verify(secret, body, good, now.Add(4*time.Minute)))
	assert.NoError(t, Verify(secret, body, "v1=00,"+good, now), "several signatures, of which one fits")
	for name, err := range map[string]error{
		"another secret":    Verify([]byte("guessed"), body, good, now),
		"another body":      Verify(secret, []byte(`{"approved":false}`), good, now),
		"too old":           Verify(secret, body, good, now.Add(6*time.Minute)),
		"from the future":   Verify(secret, body, Sign(secret, body, now.Add(6*time.Minute)), now),
		"another time":      Verify(secret, body, "t=1772439301"+good[len("t=1772439300"):], now),
		"none":              Verify(secret, body, "", now),
		"no time":           Verify(secret, body, "v1=00", now),
		"no hexadecimal":    Verify(secret, body, "t=1772439300,v1=zz", now),
		"an empty one":      Verify(secret, body, "t=1772439300,v1=", now),
		"another algorithm": Verify(secret, body, "t=1772439300,v0="+good[len("t=1772439300,v1="):], now),
	} {
		assert.Error(t, err, name)
	}
}
