package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hemostat/reports/web"
)

// liveClient asks a live run over HTTP.
type liveClient struct {
	url, dir string
	flag     string // that names the folder
}

// errAnswered tells that nobody waits for an answer any more.
var errAnswered = errors.New("the request is closed")

// token is the run's token, from the environment or from the folder of its state. It is read each
// time: the run may begin, or begin anew, after this program.
func (l *liveClient) token() (string, error) {
	if token := os.Getenv("HEMOSTAT_TOKEN"); token != "" {
		return token, nil
	}
	data, err := os.ReadFile(filepath.Join(l.dir, tokenFile))
	if err != nil {
		return "", fmt.Errorf("the token of the run: %w; name the folder of its state with %s", err, l.flag)
	}
	return strings.TrimSpace(string(data)), nil
}

// ask sends a request to the run.
func (l *liveClient) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	token, err := l.token()
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(l.url, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("the URL of the run: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	client := http.Client{Timeout: 30 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("no live run answers: %w", err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK {
		return data, nil
	}
	var refused struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(data, &refused) != nil || refused.Error == "" {
		refused.Error = answer.Status
	}
	if answer.StatusCode == http.StatusConflict {
		return nil, fmt.Errorf("%w: %s", errAnswered, refused.Error)
	}
	return nil, errors.New(refused.Error)
}

// List implements web.Approvals.
func (l *liveClient) List(ctx context.Context) ([]byte, error) {
	return l.ask(ctx, http.MethodGet, "/api/v1/approvals", nil)
}

// Incident implements web.Approvals.
func (l *liveClient) Incident(ctx context.Context, id int) ([]byte, error) {
	return l.ask(ctx, http.MethodGet, "/api/v1/incidents/"+strconv.Itoa(id), nil)
}

// Answer implements web.Approvals.
func (l *liveClient) Answer(ctx context.Context, id int, approved bool, by string) error {
	body, err := json.Marshal(map[string]any{"approved": approved, "by": by})
	if err != nil {
		return err
	}
	_, err = l.ask(ctx, http.MethodPost, "/api/v1/approvals/"+strconv.Itoa(id), body)
	if errors.Is(err, errAnswered) {
		return web.ErrClosed
	}
	return err
}
