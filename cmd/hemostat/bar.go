package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
)

// bar is a progress bar on a terminal, and nothing elsewhere.
type bar struct {
	writer  progress.Writer
	tracker *progress.Tracker
}

func startBar(errOut io.Writer, what string, total int) *bar {
	if !isTerminal(errOut) || total == 0 {
		return &bar{}
	}
	w := progress.NewWriter()
	w.SetOutputWriter(errOut)
	w.SetAutoStop(false)
	w.SetUpdateFrequency(200 * time.Millisecond)
	w.SetStyle(progress.StyleBlocks)
	if os.Getenv("NO_COLOR") == "" {
		w.Style().Colors = progress.StyleColorsDefault
	}
	w.Style().Visibility.ETA = true
	w.Style().Visibility.Speed = true
	w.Style().Visibility.SpeedOverall = false
	w.Style().Options.SpeedSuffix = "/s"
	w.Style().Options.TimeInProgressPrecision = time.Second
	w.Style().Options.TimeDonePrecision = time.Second
	w.Style().Options.ETAPrecision = time.Second
	w.SetTrackerPosition(progress.PositionRight)
	w.SetTrackerLength(40)
	t := &progress.Tracker{Message: fmt.Sprintf("%d %s", total, what), Total: int64(total), Units: progress.UnitsDefault}
	w.AppendTracker(t)
	go w.Render()
	return &bar{w, t}
}

func (b *bar) step() {
	if b.tracker != nil {
		b.tracker.Increment(1)
	}
}

func (b *bar) stop(complete bool) {
	if b.writer == nil {
		return
	}
	if complete {
		b.tracker.MarkAsDone()
	} else {
		b.tracker.MarkAsErrored()
	}
	b.writer.Stop()
	for b.writer.IsRenderInProgress() {
		time.Sleep(5 * time.Millisecond)
	}
}
