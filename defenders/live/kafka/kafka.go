// Package kafka is Apache Kafka as the stream that a live run reads, and as a place where its
// outputs go.
package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"hemostat/defenders/live"
)

// Connection says how brokers are reached.
type Connection struct {
	Brokers []string
	// TLS encrypts; CA is a file of certificates that are trusted in place of the system's;
	// Certificate and Key are files that tell the broker who this is.
	TLS                  bool
	CA, Certificate, Key string
	// SASL is plain, scram-sha-256 or scram-sha-512, "" for none.
	SASL, User, Password string
	// Note is told of brokers that do not answer, which are waited for; without it they are an
	// error when the connection is opened.
	Note func(err error)
}

// options are those of a client.
func (c *Connection) options() ([]kgo.Opt, error) {
	if len(c.Brokers) == 0 {
		return nil, errors.New("no broker is named; HOST:PORT is expected")
	}
	opts := []kgo.Opt{kgo.SeedBrokers(c.Brokers...), kgo.ClientID("hemostat")}
	if c.TLS || c.CA != "" || c.Certificate != "" {
		conf, err := c.tls()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(conf))
	}
	if c.SASL != "" {
		mechanism, err := c.mechanism()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.SASL(mechanism))
	}
	return opts, nil
}

func (c *Connection) tls() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		data, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("certificates that are trusted: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", c.CA)
		}
	}
	if c.Certificate != "" || c.Key != "" {
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate of this client: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

func (c *Connection) mechanism() (sasl.Mechanism, error) {
	if c.User == "" || c.Password == "" {
		return nil, fmt.Errorf("SASL %s needs a user and a password", c.SASL)
	}
	switch c.SASL {
	case "plain":
		return plain.Auth{User: c.User, Pass: c.Password}.AsMechanism(), nil
	case "scram-sha-256":
		return scram.Auth{User: c.User, Pass: c.Password}.AsSha256Mechanism(), nil
	case "scram-sha-512":
		return scram.Auth{User: c.User, Pass: c.Password}.AsSha512Mechanism(), nil
	}
	return nil, fmt.Errorf("unknown SASL mechanism %q; plain, scram-sha-256 and scram-sha-512 are known", c.SASL)
}

// patience is how long an answer of the brokers is waited for before somebody is told again.
const patience = 15 * time.Second

// reachable asks whether the brokers answer.
func (c *Connection) reachable(ctx context.Context, client *kgo.Client) error {
	var told time.Time
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		short, cancel := context.WithTimeout(ctx, patience)
		err := client.Ping(short)
		cancel()
		if err == nil {
			return nil
		}
		err = fmt.Errorf("no broker answers at %s: %w", strings.Join(c.Brokers, ", "), err)
		if c.Note == nil || ctx.Err() != nil || isRefusal(err) {
			return err
		}
		if time.Since(told) >= patience {
			c.Note(err)
			told = time.Now()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause): // a port that refuses answers at once
		}
	}
}

// isRefusal tells that waiting makes nothing better: the brokers answer, and say no.
func isRefusal(err error) bool {
	for _, no := range []error{kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.TopicAuthorizationFailed,
		kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.InvalidTopicException, kerr.InvalidGroupID} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// Source is a consumer of topics in a group.
type Source struct {
	client *kgo.Client

	note func(error)

	start      func(live.Position) (int64, bool)
	startKnown chan struct{} // closed when start is set

	mutex sync.Mutex
	next  map[live.Position]int64 // behind what was polled
	high  map[live.Position]int64 // end of each partition, as last seen
}

// maxPoll bounds the records of one poll: what is written to the journal as one input.
const maxPoll = 2_000

// Group is how a consumer takes part in a group.
type Group struct {
	Name string
	// Instance is the id of this member, by which it gets its partitions back at once after it
	// was killed.
	Instance string
	// FromOldest begins with the oldest record where the group has no position, else with what
	// comes from now on.
	FromOldest bool
}

// NewSource makes a consumer of a group.
func NewSource(ctx context.Context, c Connection, g Group, topics []string) (*Source, error) {
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	s := &Source{note: c.Note, startKnown: make(chan struct{}), next: map[live.Position]int64{}, high: map[live.Position]int64{}}
	begin := kgo.NewOffset().AtEnd()
	if g.FromOldest {
		begin = kgo.NewOffset().AtStart()
	}
	if g.Instance != "" {
		opts = append(opts, kgo.InstanceID(g.Instance))
	}
	opts = append(opts, kgo.ConsumerGroup(g.Name), kgo.ConsumeTopics(topics...), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(begin), kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.FetchMaxBytes(16<<20), kgo.MaxBufferedRecords(50_000), kgo.FetchMaxWait(250*time.Millisecond),
		kgo.AdjustFetchOffsetsFn(s.adjust))
	if s.client, err = kgo.NewClient(opts...); err != nil {
		return nil, err
	}
	if err := c.reachable(ctx, s.client); err != nil {
		s.client.Close()
		return nil, err
	}
	return s, nil
}

// ReadFrom says where partitions are to be read on, as far as the state of a run knows it. It
// is called once; no partition is read before it.
func (s *Source) ReadFrom(start func(live.Position) (int64, bool)) {
	s.start = start
	close(s.startKnown)
}

// adjust puts the positions that the state knows in place of those of the group. A partition
// that comes back while the run goes on, as after a change in the group, is read on behind what
// was polled, or behind what another member committed meanwhile. It waits for ReadFrom: the
// group may assign partitions while the state is still being restored.
func (s *Source) adjust(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (
	map[string]map[int32]kgo.Offset, error,
) {
	select {
	case <-s.startKnown:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for topic, partitions := range offsets {
		for p, committed := range partitions {
			at := live.Position{Topic: topic, Partition: p}
			if next, polled := s.next[at]; polled {
				partitions[p] = kgo.NewOffset().At(max(next, committed.EpochOffset().Offset))
			} else if next, known := s.start(at); known {
				partitions[p] = kgo.NewOffset().At(next)
			}
		}
	}
	return offsets, nil
}

// Poll implements live.Source.
func (s *Source) Poll(ctx context.Context) ([]live.Batch, error) {
	fetches := s.client.PollRecords(ctx, maxPoll)
	if fetches.IsClientClosed() {
		return nil, errors.New("the connection to Kafka was closed")
	}
	var out []live.Batch
	s.mutex.Lock()
	defer s.mutex.Unlock()
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if len(p.Records) == 0 {
			return
		}
		b := live.Batch{Position: live.Position{Topic: p.Topic, Partition: p.Partition}}
		for _, r := range p.Records {
			b.Records = append(b.Records,
				live.Record{Offset: r.Offset, Time: time.Duration(r.Timestamp.UnixNano()), Value: r.Value})
		}
		s.high[b.Position], s.next[b.Position] = p.HighWatermark, b.Records[len(b.Records)-1].Offset+1
		out = append(out, b)
	})
	for _, e := range fetches.Errors() { // a broker that is gone is waited for; a refusal ends the run
		switch {
		case ctx.Err() != nil:
		case isRefusal(e.Err) && len(out) == 0:
			return nil, fmt.Errorf("topic %q: %w", e.Topic, e.Err)
		case s.note != nil:
			s.note(e.Err)
		}
	}
	return out, nil
}

// Commit implements live.Source.
func (s *Source) Commit(ctx context.Context, next map[live.Position]int64) error {
	offsets := map[string]map[int32]kgo.EpochOffset{}
	for p, n := range next {
		if offsets[p.Topic] == nil {
			offsets[p.Topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[p.Topic][p.Partition] = kgo.EpochOffset{Epoch: -1, Offset: n}
	}
	if len(offsets) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var err error
	s.client.CommitOffsetsSync(ctx, offsets,
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, e error) { err = e })
	return err
}

// Lag implements live.Source.
func (s *Source) Lag(p live.Position, next int64) (int64, bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	high, ok := s.high[p]
	return max(0, high-next), ok
}

// Close leaves the group.
func (s *Source) Close() { s.client.Close() }

// Sink writes outputs to topics, by their type.
type Sink struct {
	client *kgo.Client
	topics map[string]string
}

// NewSink makes a producer; topics are those that each type of output goes to.
func NewSink(ctx context.Context, c Connection, topics map[string]string) (*Sink, error) {
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	opts = append(opts, kgo.RequiredAcks(kgo.AllISRAcks()), kgo.AllowAutoTopicCreation(), kgo.ProducerLinger(0),
		kgo.UnknownTopicRetries(-1), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	s := &Sink{topics: maps.Clone(topics)}
	if s.client, err = kgo.NewClient(opts...); err != nil {
		return nil, err
	}
	if err := c.reachable(ctx, s.client); err != nil {
		s.client.Close()
		return nil, err
	}
	return s, nil
}

// Name implements live.Sink.
func (s *Sink) Name() string { return "kafka" }

// Wants implements live.Sink.
func (s *Sink) Wants(kind string) bool { return s.topics[kind] != "" }

// Send implements live.Sink. A poison is written as it came, with what is wrong in headers.
func (s *Sink) Send(ctx context.Context, o *live.Output) error {
	r := &kgo.Record{Topic: s.topics[o.Type], Key: []byte(o.Key), Value: o.Data, Timestamp: time.Unix(0, int64(o.Time)),
		Headers: []kgo.RecordHeader{{Key: "id", Value: []byte(o.ID)}, {Key: "type", Value: []byte(o.Type)}}}
	if o.Record != nil {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: "reason", Value: o.Data})
		r.Value = o.Record
	}
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		err := s.client.ProduceSync(ctx, r).FirstErr()
		if err == nil || ctx.Err() != nil {
			return err
		}
		select { // the broker is gone or busy: nothing is lost by waiting
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// Close waits for nothing.
func (s *Sink) Close() { s.client.Close() }

// Writer writes messages to a topic, several on the way at once.
type Writer struct {
	client *kgo.Client
	topic  string

	mutex sync.Mutex
	err   error
}

// NewWriter makes a producer of a topic, which is created where it is missing and the brokers
// allow it.
func NewWriter(ctx context.Context, c Connection, topic string) (*Writer, error) {
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	opts = append(opts, kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic(topic), kgo.UnknownTopicRetries(30),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.MaxBufferedRecords(50_000))
	w := &Writer{topic: topic}
	if w.client, err = kgo.NewClient(opts...); err != nil {
		return nil, err
	}
	if err := c.reachable(ctx, w.client); err != nil {
		w.client.Close()
		return nil, err
	}
	return w, nil
}

// Write sends a message; it waits where too many are on the way. An error comes with Err.
func (w *Writer) Write(ctx context.Context, key string, value []byte) {
	w.client.Produce(ctx, &kgo.Record{Key: []byte(key), Value: value}, func(_ *kgo.Record, err error) {
		if err != nil {
			w.mutex.Lock()
			defer w.mutex.Unlock()
			if w.err == nil {
				w.err = fmt.Errorf("topic %s: %w", w.topic, err)
			}
		}
	})
}

// Err is the first error.
func (w *Writer) Err() error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.err
}

// Flush waits until everything was written.
func (w *Writer) Flush(ctx context.Context) error {
	return errors.Join(w.client.Flush(ctx), w.Err())
}

// Close closes the connection.
func (w *Writer) Close() { w.client.Close() }
