package ingest

import (
	"bufio"
	"context"
	"errors"
	"runtime"

	"hemostat/sim/event"
)

// blockSize is about how many bytes of lines are decoded at a time.
const blockSize = 256 << 10

// block is a part of an input that is decoded for itself, and what came of it.
type block struct {
	lines   [][]byte
	text    []byte
	events  []*event.Event
	summary Summary
	done    chan struct{}
}

// readBlocks reads the lines of an input as readLines does, decoding several blocks of
// lines at a time. Where a block ends depends on the input only, and the decoder begins
// each block anew, so the events do not depend on how many there are.
func readBlocks(ctx context.Context, name string, in *bufio.Reader, newDecoder func() *jsonDecoder, out *output) error {
	workers := runtime.GOMAXPROCS(0)
	decoders := make(chan *jsonDecoder, workers)
	for range workers {
		decoders <- newDecoder()
	}
	var running []*block
	defer func() {
		for _, b := range running {
			<-b.done
		}
	}()
	var free []*block
	finish := func() {
		b := running[0]
		running = running[1:]
		<-b.done
		for _, e := range b.events {
			out.event(e)
		}
		out.add(b.summary)
		clear(b.events)
		b.events, b.summary = b.events[:0], Summary{}
		free = append(free, b)
	}
	for {
		b := &block{}
		if len(free) > 0 {
			b, free = free[len(free)-1], free[:len(free)-1]
		}
		err := b.fill(in)
		b.done = make(chan struct{})
		d := <-decoders
		go func() {
			defer close(b.done)
			b.decode(d)
			decoders <- d
		}()
		running = append(running, b)
		for len(running) > workers || err != nil && len(running) > 0 {
			finish()
			if out.err != nil {
				return out.err
			}
		}
		if err != nil {
			return endOf(ctx, name, err, out)
		}
	}
}

// fill takes lines from an input. The error is that of the input's end.
func (b *block) fill(in *bufio.Reader) error {
	b.lines, b.text = b.lines[:0], b.text[:0]
	if cap(b.text) == 0 {
		b.text = make([]byte, 0, blockSize+blockSize/4)
	}
	for len(b.text) < blockSize {
		line, err := readLine(in)
		if errors.Is(err, errLong) {
			b.summary.count("line " + reasonLong)
			continue
		}
		if len(line) > 0 {
			from := len(b.text)
			b.text = append(b.text, line...)
			b.lines = append(b.lines, b.text[from:len(b.text):len(b.text)])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *block) decode(d *jsonDecoder) {
	d.linux = messages{}
	out := output{raw: true, deliver: func(e *event.Event) error {
		b.events = append(b.events, e)
		return nil
	}}
	for _, line := range b.lines {
		out.count(d.decode(line, &out))
	}
	b.summary.add(out.Summary)
}
