package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// server is a session with a plug-in over HTTP: each message is a POST, and its answer the
// body that comes back. Every message bears the id of the trial, so that a server may serve
// several at once.
type server struct {
	url    string
	client *http.Client
	most   int
	trial  string
}

func (s *server) send(message []byte, limit time.Duration) error {
	_, err := s.post(message, limit)
	return err
}

func (s *server) ask(message []byte, limit time.Duration) ([]byte, error) {
	body, err := s.post(message, limit)
	if err == nil && isBlank(body) {
		err = errors.New("the answer is empty")
	}
	return body, err
}

func (s *server) post(message []byte, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Hemostat-Trial", s.trial)
	response, err := s.client.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("no answer within %s", limit)
		}
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(s.most)+1))
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("no whole answer within %s", limit)
	case err != nil:
		return nil, err
	case len(body) > s.most:
		return nil, fmt.Errorf("an answer is longer than %d bytes", s.most)
	case response.StatusCode/100 != 2:
		return nil, fmt.Errorf("the server answers %s: %s", response.Status, shorten(string(body)))
	}
	return bytes.TrimSpace(body), nil
}

func (s *server) close(healthy bool) error {
	if !healthy {
		return nil
	}
	return s.send([]byte(`{"type":"bye"}`), graceful)
}
