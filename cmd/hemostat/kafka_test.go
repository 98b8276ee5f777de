package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/defenders/live/kafka"
	"hemostat/defenders/live/signature"
)

// broker is a real Apache Kafka of one node.
type broker struct {
	t       *testing.T
	dir     string
	address string
	jars    string
	cmd     *exec.Cmd
}

// startBroker starts Kafka from the jars that make test-kafka fetches, with settings beside those
// of a node alone.
func startBroker(t *testing.T, settings string) *broker {
	jars := os.Getenv("HEMOSTAT_KAFKA_JARS")
	if jars == "" {
		t.Skip("no Kafka here: make test-kafka fetches one and runs this test")
	}
	b := &broker{t: t, dir: t.TempDir(), jars: jars}
	ports := [2]string{freePort(t), freePort(t)}
	b.address = "127.0.0.1:" + ports[0]
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "server.properties"), fmt.Appendf(nil, `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:%[2]s
listeners=PLAINTEXT://127.0.0.1:%[1]s,CONTROLLER://127.0.0.1:%[2]s
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=%[3]s/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
num.partitions=3
group.initial.rebalance.delay.ms=0
%[4]s
`, ports[0], ports[1], b.dir, settings), 0o600))
	out, err := b.java("kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c", "server.properties").CombinedOutput()
	require.NoError(t, err, string(out))
	b.start()
	t.Cleanup(b.kill)
	return b
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

func (b *broker) java(args ...string) *exec.Cmd {
	c := exec.Command("java", append([]string{"-Xmx512m", "-cp", filepath.Join(b.jars, "*")}, args...)...)
	c.Dir = b.dir
	return c
}

// start starts the broker and waits until it takes records.
func (b *broker) start() {
	b.cmd = b.java("kafka.Kafka", "server.properties")
	b.cmd.SysProcAttr = endsWithTest
	require.NoError(b.t, b.cmd.Start())
	require.Eventually(b.t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		w, err := kafka.NewWriter(ctx, kafka.Connection{Brokers: []string{b.address}}, "probe")
		if err != nil {
			return false
		}
		defer w.Close()
		w.Write(ctx, "", []byte("probe"))
		return w.Flush(ctx) == nil
	}, 90*time.Second, 200*time.Millisecond, "Kafka starts")
}

func (b *broker) kill() {
	if b.cmd != nil {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
		b.cmd = nil
	}
}

// receiver takes webhooks and carries actions out, and remembers what it was sent.
type receiver struct {
	*httptest.Server
	mutex    sync.Mutex
	events   map[string]map[string]any // by id
	actions  map[string][]string       // ids by attempt
	unsigned int
	changed  int // ids that came again with other content
}

const testSecret = "a secret of tests"

func newReceiver(t *testing.T) *receiver {
	r := &receiver{events: map[string]map[string]any{}, actions: map[string][]string{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		var e map[string]any
		if json.Unmarshal(body, &e) != nil || signature.Verify([]byte(testSecret), body, q.Header.Get(signature.Header), time.Now()) != nil {
			r.mutex.Lock()
			defer r.mutex.Unlock()
			r.unsigned++
			w.WriteHeader(http.StatusForbidden)
			return
		}
		r.mutex.Lock()
		defer r.mutex.Unlock()
		id := fmt.Sprint(e["id"])
		data, _ := e["data"].(map[string]any)
		if q.URL.Path == "/act" {
			attempt := fmt.Sprint(data["phase"], " ", data["attempt"])
			if !strings.Contains(strings.Join(r.actions[attempt], " "), id) {
				r.actions[attempt] = append(r.actions[attempt], id)
			}
			_, _ = io.WriteString(w, `{"ok":true,"changed":true}`)
			return
		}
		if known := r.events[id]; known != nil && fmt.Sprint(known) != fmt.Sprint(e) {
			r.changed++
		}
		r.events[id] = e
	}))
	t.Cleanup(r.Close)
	return r
}

// users are the users of the alerts, with how often each was told of.
func (r *receiver) users() map[string]int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	users := map[string]int{}
	for _, e := range r.events {
		if data, _ := e["data"].(map[string]any); e["type"] == "hemostat.alert" {
			users[fmt.Sprint(data["user"])]++
		}
	}
	return users
}

// requests is how many actions were asked for.
func (r *receiver) requests() int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	n := 0
	for attempt := range maps.Keys(r.actions) {
		if strings.HasPrefix(attempt, "request") {
			n++
		}
	}
	return n
}

// tellOthers tells of the hosts whose memory was not copied once, with what the audit file says.
func (r *receiver) tellOthers(t *testing.T, evil int, audit string) {
	text, err := os.ReadFile(audit)
	require.NoError(t, err)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	t.Logf("%d actions in place of %d", len(r.actions), evil)
	for k := 1; k <= evil; k++ {
		host, n := fmt.Sprintf("pc%d", k), 0
		for attempt := range maps.Keys(r.actions) {
			words := strings.FieldsFunc(attempt, func(c rune) bool { return strings.ContainsRune(" /:|#,=", c) })
			if words[0] == "request" && slices.Contains(words, host) {
				n++
			}
		}
		if n == 1 {
			continue
		}
		t.Logf("%s: %d requests", host, n)
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, `"`+host+`"`) {
				t.Log(line)
			}
		}
	}
}

// liveRun is a run of hemostat live that can be killed and begun again.
type liveRun struct {
	t    *testing.T
	args []string
	log  bytes.Buffer
	cmd  *exec.Cmd
	// ended is closed when it has ended, with err.
	ended chan struct{}
	err   error
}

func (l *liveRun) start() {
	l.cmd = exec.Command(binary(l.t), append([]string{"live"}, l.args...)...)
	l.cmd.Env = append(os.Environ(), "SECRET="+testSecret)
	l.cmd.Stderr = &l.log
	l.cmd.SysProcAttr = endsWithTest
	require.NoError(l.t, l.cmd.Start())
	l.ended = make(chan struct{})
	go func(c *exec.Cmd, ended chan struct{}) {
		l.err = c.Wait()
		close(ended)
	}(l.cmd, l.ended)
}

// kill ends the run as nothing can catch. One that has ended by itself is a fault.
func (l *liveRun) kill() {
	if l.cmd == nil {
		return
	}
	select {
	case <-l.ended:
		l.t.Errorf("hemostat live ended by itself: %v", l.err)
	default:
		_ = l.cmd.Process.Kill()
		<-l.ended
	}
	l.cmd = nil
}

// evilRule and snapshotPlaybook make of each logon of an evil user an alert and a copy of memory.
const evilRule = `title: Logon of an evil user
id: 6b6e3b7e-57a5-4d2b-9a0c-1f9b0c7f3a11
status: test
description: A test.
logsource: {product: windows, service: security}
detection:
  selection: {EventID: 4624, TargetUserName|startswith: evil}
  condition: selection
level: high
tags: [attack.initial-access, attack.t1078]
`

const snapshotPlaybook = `schema: hemostat.playbook/v1
id: copy
version: 1.0.0
trigger: {any: [T1078], min_severity: high}
inputs: {host: {type: host, from: alert.target_host, required: true}}
limits: {max_targets: 3, cooldown: 1s, key: host, max_disruption: 50}
steps:
  - {id: copy, action: snapshot_memory, risk: low, with: {host: "${host}"}}
`

// writeDefence writes a variant with one rule and one playbook, and an inventory of hosts.
func writeDefence(t *testing.T, dir string, hosts int) {
	for name, text := range map[string]string{
		"rules/evil.yml": evilRule, "playbooks/copy.yaml": snapshotPlaybook,
		"evil.yaml": "name: evil\nrules: [rules]\nplaybooks: playbooks\ndetectors: [sigma]\nresponse: {approval: none}\ncascade: {off: true}\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	var b strings.Builder
	b.WriteString("hosts:\n")
	for i := range hosts {
		fmt.Fprintf(&b, "  - {name: pc%d, ip: 10.%d.%d.%d, zone: users}\n", i, i>>16, i>>8&255, i&255)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "estate.yaml"), []byte(b.String()), 0o600))
}

// unseen is how many evil users may be without an alert while there are kills. Above 1000, runs of
// playbooks would be refused, as they are designed to be.
const unseen = 300

// TestLiveSurvivesKillsWithKafka kills hemostat live and Kafka at random moments while logs
// come. In the end each logon of an evil user has one alert under one id, and each copy of memory was
// asked for under one id. HEMOSTAT_KILLS says how many kills there are.
func TestLiveSurvivesKillsWithKafka(t *testing.T) {
	b := startBroker(t, "log.flush.interval.messages=1")
	kills := 10
	if text := os.Getenv("HEMOSTAT_KILLS"); text != "" {
		var err error
		kills, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	dir := t.TempDir()
	writeDefence(t, dir, 20_000)
	r := newReceiver(t)
	l := &liveRun{t: t, args: []string{"--brokers", b.address, "--topic", "logs=winlog", "--from-oldest",
		"--state", filepath.Join(dir, "state"),
		"--variant", filepath.Join(dir, "evil.yaml"), "--inventory", filepath.Join(dir, "estate.yaml"), "--listen", "127.0.0.1:0",
		"--webhook", r.URL + "/hook", "--webhook-types", "alert,action", "--webhook-secret-env", "SECRET",
		"--actuator", "webhook=" + r.URL + "/act", "--actuator-secret-env", "SECRET",
		"--snapshot-every", "700ms", "--to-topic", "alert=alerts"}}
	l.start()
	defer l.kill()
	defer func() {
		if t.Failed() {
			t.Log(l.log.String())
		}
	}()
	ctx := context.Background()
	random := rand.New(rand.NewPCG(uint64(kills), 7))
	evil := 0
	produce := func(n int) {
		w, err := kafka.NewWriter(ctx, kafka.Connection{Brokers: []string{b.address}}, "logs")
		require.NoError(t, err)
		defer w.Close()
		for range n {
			user := "kim"
			if random.IntN(20) == 0 {
				user = fmt.Sprint("evil", evil)
				evil++
			}
			w.Write(ctx, fmt.Sprint(random.IntN(50)), fmt.Appendf(nil,
				`{"EventID":4624,"Channel":"Security","Computer":"pc%d","SystemTime":%q,"TargetUserName":%q}`,
				evil%20_000, time.Now().UTC().Format(time.RFC3339Nano), user))
		}
		require.NoError(t, w.Flush(ctx))
	}
	for i := range kills {
		if i%5 == 0 { // kills that never leave time for anything are no test of what was begun
			require.Eventually(t, func() bool { return len(r.users()) > evil-unseen }, 60*time.Second, 50*time.Millisecond,
				"alerts come between kills: %d of %d evil users", len(r.users()), evil)
		}
		produce(100 + random.IntN(300))
		time.Sleep(time.Duration(50+random.IntN(900)) * time.Millisecond)
		if i%5 == 4 {
			b.kill()
			time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
			b.start()
			continue
		}
		l.kill()
		l.start()
	}
	produce(200)
	require.Eventually(t, func() bool { return len(r.users()) == evil }, 90*time.Second, 100*time.Millisecond,
		"each of %d evil users has an alert", evil)
	audit := filepath.Join(dir, "state", "audit.ndjson")
	if !assert.Eventually(t, func() bool { return r.requests() == evil },
		60*time.Second, 100*time.Millisecond, "the memory of each of %d hosts is copied", evil) {
		r.tellOthers(t, evil, audit)
		t.FailNow()
	}
	require.NoError(t, l.cmd.Process.Signal(os.Interrupt))
	<-l.ended
	require.NoError(t, l.err)
	l.cmd = nil
	r.mutex.Lock()
	defer r.mutex.Unlock()
	assert.Zero(t, r.unsigned)
	assert.Zero(t, r.changed)
	for attempt, ids := range r.actions {
		assert.Len(t, ids, 1, attempt)
	}
	r.mutex.Unlock()
	for user, n := range r.users() {
		assert.Equal(t, 1, n, user)
	}
	r.mutex.Lock()
	out, err := exec.Command(binary(t), "audit", "verify", audit).CombinedOutput()
	assert.NoError(t, err, string(out))
	t.Logf("%d kills, %d evil users, %d actions; %s", kills, evil, len(r.actions), out)
}
