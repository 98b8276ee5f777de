package evtx

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// BenchmarkRecordedLogs reads all recorded event logs. The rate counts the bytes of
// records only: many of the files are mostly empty chunks.
func BenchmarkRecordedLogs(b *testing.B) {
	var logs [][]byte
	for _, file := range recordedLogs(b) {
		logs = append(logs, unzipped(b, file))
	}
	var total int64
	b.ReportAllocs()
	for b.Loop() {
		total = 0
		for _, log := range logs {
			r := NewReader(bytes.NewReader(log))
			for {
				record, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					continue
				}
				total += int64(r.at) - (record.Offset - r.start)
			}
		}
	}
	b.SetBytes(total)
}

// BenchmarkSteadyState reads one long log: the recorded chunks one behind another.
func BenchmarkSteadyState(b *testing.B) {
	var long []byte
	for _, file := range recordedLogs(b) {
		if log := unzipped(b, file); len(log) > fileHeaderSize {
			long = append(long, log[fileHeaderSize:]...)
		}
	}
	records := 0
	b.SetBytes(int64(len(long)))
	b.ReportAllocs()
	for b.Loop() {
		records = 0
		r := NewReader(bytes.NewReader(long))
		for {
			if _, err := r.Next(); errors.Is(err, io.EOF) {
				break
			}
			records++
		}
	}
	b.ReportMetric(float64(records), "records/op")
}
