// Package signature signs what a live run sends over HTTP, and checks what it is sent: whoever
// knows the secret wrote it, and not long ago.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Header holds the signature: t=SECONDS,v1=HEX, where HEX is HMAC-SHA-256 with the
// secret over SECONDS, a dot, and the body.
const Header = "Hemostat-Signature"

// Sign signs a body at a time.
func Sign(secret, body []byte, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac(secret, t, body))
}

func mac(secret []byte, t string, body []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(t + "."))
	h.Write(body)
	return h.Sum(nil)
}

// Tolerance is how old, or how far in the future, a signature may be.
const Tolerance = 5 * time.Minute

// Verify checks the signature of a body.
func Verify(secret, body []byte, signature string, now time.Time) error {
	var t string
	var sums []string
	for part := range strings.SplitSeq(signature, ",") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "t":
			t = value
		case "v1":
			sums = append(sums, value)
		}
	}
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil || len(sums) == 0 {
		return fmt.Errorf("the header %s is missing or has another form than t=SECONDS,v1=HEX", Header)
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > Tolerance || age < -Tolerance {
		return fmt.Errorf("the signature is of another time: it is %s old", age.Round(time.Second))
	}
	want := mac(secret, t, body)
	for _, text := range sums {
		if got, err := hex.DecodeString(text); err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return errors.New("the signature does not fit the body")
}
