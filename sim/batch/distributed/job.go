package distributed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go/jetstream"

	"hemostat/sim/record"
	"hemostat/sim/snapshot"
)

// Job is what is to be run, as workers see it.
type Job struct {
	// ID identifies the job among those of a server: letters and digits.
	ID string `json:"id"`
	// Program is the version, commit and architecture whose digests the trials have; workers of
	// another one refuse the job.
	Program string `json:"program"`
	// Digests are those of every scenario and variant, by name; workers for which one differs
	// refuse the job.
	Digests map[string]string `json:"digests"`
	// Plan is what Worker.Prepare makes trials from.
	Plan json.RawMessage `json:"plan"`
	// Attempts is how many workers may end while they run a trial before it is given up as an
	// error.
	Attempts int `json:"attempts"`
	// Room is how many bytes of results the server holds; an object is smaller.
	Room int64 `json:"room"`
	// Patience is how long a worker may be silent before its work is given to another.
	Patience time.Duration `json:"patience_ns"`
	// Created is when the job was made, by which workers order jobs.
	Created time.Time `json:"created"`
}

const (
	jobsBucket   = "hemostat_jobs"
	leasesBucket = "hemostat_leases"
	workers      = "workers"     // the consumer of the work queue
	coordinator  = "coordinator" // the consumer of messages about results

	defaultAttempts = 5
	defaultPatience = 30 * time.Second
)

func (j *Job) workStream() string   { return "HEMOSTAT_WORK_" + j.ID }
func (j *Job) workSubject() string  { return "hemostat.work." + j.ID }
func (j *Job) doneStream() string   { return "HEMOSTAT_DONE_" + j.ID }
func (j *Job) doneSubject() string  { return "hemostat.done." + j.ID }
func (j *Job) resultBucket() string { return "hemostat_results_" + j.ID }
func (j *Job) presence() string     { return "hemostat.presence." + j.ID }

// work is a message of the work queue: trials to be run, by their ids.
type work struct {
	Trials []string `json:"trials"`
}

// done is a message about an object: which trials are in it, and who ran them.
type done struct {
	Object string   `json:"object"`
	Worker string   `json:"worker"`
	Trials []string `json:"trials"`
}

// presence is what a worker says of itself about a job.
type presence struct {
	Worker string `json:"worker"`
	// Refusal is why it takes no work of the job; "" when it does.
	Refusal string `json:"refusal,omitempty"`
}

// result is an object.
type result struct {
	Trials []*record.Trial
}

var (
	compressor, _   = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	decompressor, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
)

// pack writes trials whole: rows, cost, scores and kept events.
func pack(trials []*record.Trial) ([]byte, error) {
	for _, t := range trials {
		unshare(reflect.ValueOf(t).Elem())
	}
	var plain bytes.Buffer
	if err := snapshot.Save(&plain, &result{trials}); err != nil {
		return nil, err
	}
	return compressor.EncodeAll(plain.Bytes(), nil), nil
}

// unpack reads what pack has written. The digest of each trial is computed anew, and another one
// than the worker's is an error.
func unpack(data []byte) ([]*record.Trial, error) {
	plain, err := decompressor.DecodeAll(data, nil)
	if err != nil {
		return nil, err
	}
	var r result
	if err := snapshot.Load(bytes.NewReader(plain), &r); err != nil {
		return nil, err
	}
	for _, t := range r.Trials {
		said := t.Digest
		if err := t.Seal(); err != nil {
			return nil, err
		}
		if t.Digest != said {
			return nil, fmt.Errorf("trial %s: its rows have the digest %s, its worker said %s", t.TrialID, t.Digest, said)
		}
	}
	return r.Trials, nil
}

// unshare gives each optional number of a trial's rows (a pointer to it) memory of its own. Some
// point into other rows, which a snapshot does not write.
func unshare(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			unshare(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			unshare(v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() && v.Type().Elem().Kind() == reflect.Int64 {
			own := reflect.New(v.Type().Elem())
			own.Elem().Set(v.Elem())
			v.Set(own)
		}
	}
}

// bucket opens a bucket and makes it where it is missing.
func bucket(ctx context.Context, js jetstream.JetStream, c jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	kv, err := js.KeyValue(ctx, c.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return js.CreateOrUpdateKeyValue(ctx, c)
	}
	return kv, err
}
