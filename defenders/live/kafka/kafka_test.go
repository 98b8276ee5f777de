package kafka

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"hemostat/defenders/live"
)

func cluster(t *testing.T) Connection {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "logs", "dns"), kfake.AllowAutoTopicCreation())
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return Connection{Brokers: c.ListenAddrs()}
}

// polled collects the values of n records, by partition in the order in which they came.
func polled(t *testing.T, s *Source, n int) map[live.Position][]live.Record {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	got := map[live.Position][]live.Record{}
	for have := 0; have < n; {
		list, err := s.Poll(ctx)
		require.NoError(t, err)
		require.NoError(t, ctx.Err(), "%d of %d records came", have, n)
		for _, b := range list {
			got[b.Position] = append(got[b.Position], b.Records...)
			have += len(b.Records)
		}
	}
	return got
}

func write(t *testing.T, c Connection, topic string, values ...string) {
	ctx := context.Background()
	w, err := NewWriter(ctx, c, topic)
	require.NoError(t, err)
	defer w.Close()
	for i, v := range values {
		w.Write(ctx, fmt.Sprint("key ", i%3), []byte(v))
	}
	require.NoError(t, w.Flush(ctx))
}

func numbers(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func TestASourceReadsOnWhereTheStateSays(t *testing.T) {
	ctx := context.Background()
	c := cluster(t)
	write(t, c, "logs", numbers(0, 50)...)
	s, err := NewSource(ctx, c, Group{Name: "group", FromOldest: true}, []string{"logs", "dns"})
	require.NoError(t, err)
	s.ReadFrom(func(live.Position) (int64, bool) { return 0, false })
	got := polled(t, s, 50)
	next := map[live.Position]int64{}
	for p, records := range got {
		for i, r := range records {
			assert.EqualValues(t, i, r.Offset)
			assert.InDelta(t, time.Now().Unix(), r.Time.Seconds(), 60)
		}
		next[p] = int64(len(records))
		lag, known := s.Lag(p, next[p]-3)
		assert.True(t, known)
		assert.EqualValues(t, 3, lag)
	}
	require.NoError(t, s.Commit(ctx, next))
	s.Close()

	// The group's position counts where the state knows none, and the state's where it does.
	write(t, c, "logs", numbers(50, 60)...)
	s, err = NewSource(ctx, c, Group{Name: "group", FromOldest: true}, []string{"logs", "dns"})
	require.NoError(t, err)
	s.ReadFrom(func(live.Position) (int64, bool) { return 0, false })
	polled(t, s, 10)
	s.Close()
	s, err = NewSource(ctx, c, Group{Name: "group", FromOldest: true}, []string{"logs", "dns"})
	require.NoError(t, err)
	defer s.Close()
	time.Sleep(500 * time.Millisecond) // the group assigns its partitions while the state is still being restored
	s.ReadFrom(func(p live.Position) (int64, bool) { return next[p] - 2, p.Topic == "logs" && next[p] > 2 })
	for p, records := range polled(t, s, 10+2*len(next)) {
		assert.Equal(t, next[p]-2, records[0].Offset)
	}
}

func TestASinkWritesByType(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := cluster(t)
	s, err := NewSink(ctx, c, map[string]string{live.AlertOutput: "alerts", live.PoisonOutput: "poison"})
	require.NoError(t, err)
	defer s.Close()
	assert.True(t, s.Wants(live.AlertOutput))
	assert.False(t, s.Wants(live.ActionOutput))
	require.NoError(t, s.Send(ctx, &live.Output{Type: live.AlertOutput, ID: "1", Key: "incident 4", Data: []byte(`{"a":1}`)}))
	require.NoError(t, s.Send(ctx, &live.Output{Type: live.PoisonOutput, ID: "2", Data: []byte(`{"reason":"x"}`), Record: []byte("raw")}))
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...), kgo.ConsumeTopics("alerts", "poison"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	require.NoError(t, err)
	defer client.Close()
	got := map[string]*kgo.Record{}
	for len(got) < 2 {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got[r.Topic] = r })
		require.NoError(t, ctx.Err())
	}
	assert.Equal(t, `{"a":1}`, string(got["alerts"].Value))
	assert.Equal(t, "incident 4", string(got["alerts"].Key))
	assert.Equal(t, "raw", string(got["poison"].Value), "a record that cannot be read is written as it came")
	assert.Equal(t, kgo.RecordHeader{Key: "id", Value: []byte("1")}, got["alerts"].Headers[0])
	assert.Equal(t, `{"reason":"x"}`, string(got["poison"].Headers[2].Value))
}

func TestConnectionsThatCannotBe(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for want, c := range map[string]Connection{
		"no broker is named":                          {},
		"SASL plain needs a user and a password":      {Brokers: []string{"127.0.0.1:1"}, SASL: "plain"},
		`unknown SASL mechanism "kerberos"`:           {Brokers: []string{"127.0.0.1:1"}, SASL: "kerberos", User: "u", Password: "p"},
		"certificates that are trusted: open":         {Brokers: []string{"127.0.0.1:1"}, CA: "missing.pem"},
		"kafka.go holds no certificate":               {Brokers: []string{"127.0.0.1:1"}, CA: "kafka.go"},
		"certificate of this client: open":            {Brokers: []string{"127.0.0.1:1"}, Certificate: "missing.pem"},
		"no broker answers at 127.0.0.1:1":            {Brokers: []string{"127.0.0.1:1"}},
		"no broker answers at 127.0.0.1:1, 127.0.0.1": {Brokers: []string{"127.0.0.1:1", "127.0.0.1:2"}, SASL: "scram-sha-256", User: "u", Password: "p"},
	} {
		_, err := NewSource(ctx, c, Group{Name: "group"}, []string{"logs"})
		assert.ErrorContains(t, err, want)
	}
}

func TestABrokerThatComesLate(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	var notes atomic.Int64
	c := Connection{Brokers: []string{fmt.Sprint("127.0.0.1:", port)}, Note: func(error) { notes.Add(1) }}
	late := time.AfterFunc(700*time.Millisecond, func() {
		b, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.SeedTopics(1, "logs"))
		if assert.NoError(t, err) {
			t.Cleanup(b.Close)
		}
	})
	defer late.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := NewSource(ctx, c, Group{Name: "g"}, []string{"logs"})
	require.NoError(t, err)
	s.Close()
	assert.EqualValues(t, 1, notes.Load(), "somebody is told once in a while, not at each attempt")
}

func TestSASL(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "logs"), kfake.EnableSASL(),
		kfake.Superuser("SCRAM-SHA-256", "kim", "secret"), kfake.Superuser("PLAIN", "kim", "secret"))
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, mechanism := range []string{"plain", "scram-sha-256"} {
		s, err := NewSource(ctx, Connection{Brokers: c.ListenAddrs(), SASL: mechanism, User: "kim", Password: "secret"}, Group{Name: "g"},
			[]string{"logs"})
		require.NoError(t, err, mechanism)
		s.Close()
	}
	short, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	_, err = NewSource(short, Connection{Brokers: c.ListenAddrs(), SASL: "plain", User: "kim", Password: "wrong"}, Group{Name: "g"}, []string{"logs"})
	assert.ErrorContains(t, err, "no broker answers")
}
