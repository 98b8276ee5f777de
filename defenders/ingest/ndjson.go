package ingest

import "hemostat/sim/event"

// ndjsonDecoder reads the project's own exchange format.
type ndjsonDecoder struct{}

func (ndjsonDecoder) decode(line []byte, emit func(*event.Event) error) (string, error) {
	e, err := event.Decode(line)
	if err != nil {
		return "no event of the exchange format", nil
	}
	return "", emit(e)
}
