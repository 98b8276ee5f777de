package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
)

// nightVariant has fewer people than the default.
const nightVariant = "name: night\nhotl: {mode: pool, tier1: 1, tier2: 0}\n"

// briefPolicy is a gate's policy with a small budget.
const briefPolicy = "alpha: 0.05\ntrials: {min: 4, max: 12, batch: 4}\nchecks: [{metric: contained, margin: 0.2}]\n"

// served is a hemostat serve for tests.
type served struct {
	t   *testing.T
	dir string
	url string
}

// run runs a command of the program in the test's folder.
func (s *served) run(args ...string) string {
	c := exec.Command(binary(s.t), args...)
	c.Dir = s.dir
	out, err := c.CombinedOutput()
	var code *exec.ExitError
	if err != nil { // a gate may be undecided
		require.ErrorAs(s.t, err, &code, string(out))
		require.Contains(s.t, []int{exitFaults, exitUndecided}, code.ExitCode(), string(out))
	}
	return string(out)
}

// background runs a command of the program until the test ends.
func (s *served) background(args ...string) {
	c := exec.Command(binary(s.t), args...)
	c.Dir = s.dir
	var said bytes.Buffer
	c.Stderr, c.SysProcAttr = &said, endsWithTest
	require.NoError(s.t, c.Start())
	s.t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if s.t.Failed() {
			s.t.Log(c.Args, said.String())
		}
	})
}

// serve starts hemostat serve and waits for it.
func (s *served) serve(args ...string) string {
	address := "127.0.0.1:" + freePort(s.t)
	s.background(append([]string{"serve", "trials.db", "--listen", address}, args...)...)
	require.Eventually(s.t, func() bool {
		r, err := http.Get("http://" + address + "/healthz")
		if err == nil {
			_ = r.Body.Close()
		}
		return err == nil
	}, 30*time.Second, 50*time.Millisecond)
	return "http://" + address
}

// newServed makes a database with trials, a verdict and a report of fidelity, and serves it.
func newServed(t *testing.T, args ...string) *served {
	s := &served{t: t, dir: t.TempDir()}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "night.yaml"), []byte(nightVariant), 0o600))
	capture, err := helloCapture()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "capture.pcap"), capture, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "index.csv"), []byte("file,techniques\ncapture.pcap,T1071.001\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "policy.yaml"), []byte(briefPolicy), 0o600))
	s.run("run", "ransomware", "web-shell", "--trials", "6", "--variant", "default", "--variant", "night.yaml", "--db", "trials.db")
	s.run("run", "ransomware", "--trials", "1", "--seed", "2", "--keep-events", "--db", "trials.db", "--set", "background.rate=0.1")
	s.run("gate", "web-shell", "--candidate", "night.yaml", "--policy", "policy.yaml", "--db", "trials.db")
	s.run("fidelity", "index.csv", "--db", "trials.db")
	s.url = s.serve(args...)
	return s
}

// trialID is the id of the first trial of a list.
func (s *served) trialID(query string) string {
	r, err := http.Get(s.url + "/api/v1/trials" + query)
	require.NoError(s.t, err)
	defer r.Body.Close()
	var list struct {
		Trials []struct {
			ID string `json:"trial_id"`
		}
	}
	require.NoError(s.t, json.NewDecoder(r.Body).Decode(&list))
	require.NotEmpty(s.t, list.Trials)
	return list.Trials[0].ID
}

// browser is a tab that notes what it complains about.
type browser struct {
	t          *testing.T
	ctx        context.Context
	mutex      sync.Mutex
	complaints []string
	pictures   string // folder for screenshots, or ""
}

func newBrowser(t *testing.T) *browser {
	path := os.Getenv("HEMOSTAT_CHROMIUM")
	if path == "" {
		t.Skip("no Chromium here: make test-browser installs one and runs this test")
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), chromedp.Headless, chromedp.DisableGPU, chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.WindowSize(1280, 900))
	t.Cleanup(cancel)
	b := &browser{t: t, pictures: os.Getenv("HEMOSTAT_SCREENSHOTS")}
	b.ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	complain := func(text string) {
		b.mutex.Lock()
		b.complaints = append(b.complaints, text)
		b.mutex.Unlock()
	}
	require.NoError(t, chromedp.Listen(b.ctx, func(e any) {
		switch x := e.(type) {
		case *cdpruntime.EventExceptionThrown:
			complain(x.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			if x.Entry.Level == log.EntryLevelError && !strings.Contains(x.Entry.URL, "favicon") {
				complain(x.Entry.Text + " " + x.Entry.URL)
			}
		}
	}))
	command(b, log.Enable, cdp.Empty{})
	return b
}

// command sends a command to the browser.
func command[P, R any](b *browser, c cdp.Command[P, R], params P) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, c, params)
	require.NoError(b.t, err)
}

// evaluate is the value of an expression.
func evaluate[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	x, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	require.NoError(b.t, err, expression)
	return x
}

// do does things in the tab, in a minute at most.
func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, steps...))
}

// visit opens a page and checks what every page owes: no complaint, nothing wider than the
// window but what scrolls by itself.
func (b *browser) visit(url, picture string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url), chromedp.WaitReady(chromedp.CSS("main")))
	wide := evaluate[int](b, `document.documentElement.scrollWidth - window.innerWidth`)
	assert.LessOrEqual(b.t, wide, 0, "%s is wider than its window", url)
	b.mutex.Lock()
	assert.Empty(b.t, b.complaints, url)
	b.mutex.Unlock()
	b.picture(picture)
}

func (b *browser) picture(name string) {
	if b.pictures == "" || name == "" {
		return
	}
	data, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(b.pictures, name+".png"), data, 0o600))
}

// text is a value of the page as text.
func (b *browser) text(expression string) string {
	b.t.Helper()
	return evaluate[string](b, "String("+expression+")")
}

// TestPagesWithChromium opens every page, works the time line and the map by mouse and keyboard,
// in light and dark and on a phone.
func TestPagesWithChromium(t *testing.T) {
	b := newBrowser(t)
	s := newServed(t)
	trial := s.url + "/trials/" + s.trialID("?scenario=ransomware&variant=default&sort=alerts_total&order=desc")
	kept := s.url + "/trials/" + s.trialID("?seed=2")
	b.visit(s.url+"/", "runs")
	b.visit(s.url+"/trials?sort=score&order=asc", "trials")
	b.visit(s.url+"/compare", "")
	b.visit(s.url+"/gates", "")
	b.visit(s.url+"/gates/1", "gate")
	b.visit(s.url+"/fidelity", "")
	b.visit(s.url+"/fidelity/2", "fidelity")
	b.visit(s.url+"/approvals", "")
	b.visit(kept+"/alerts/1", "alert")
	assert.NotEqual(t, "0", b.text(`document.querySelectorAll("pre.event").length`), "events that were kept are shown as evidence")
	b.visit(trial+"/alerts", "")
	b.visit(trial+"/incidents/1", "incident")
	for _, path := range []string{"/overview", "/compare?baseline=default&candidate=night"} {
		b.visit(s.url+path, "")
		b.do(chromedp.WaitReady(chromedp.CSS("main table"))) // the page asks again by itself until it is computed
		b.visit(s.url+path, strings.TrimPrefix(strings.Split(path, "?")[0], "/"))
	}

	b.visit(trial, "trial")
	window := `document.querySelector("svg.line").dataset.from + "-" + document.querySelector("svg.line").dataset.to`
	all := b.text(window)
	b.do(chromedp.Click(chromedp.CSS(`[data-zoom="in"]`)))
	require.Eventually(t, func() bool { return b.text(window) != all }, 10*time.Second, 50*time.Millisecond, "a click zooms")
	assert.Contains(t, b.text("location.search"), "from=")
	near := b.text(window)
	b.do(chromedp.Focus(chromedp.CSS("section.timeline")), chromedp.KeyEvent("+"))
	require.Eventually(t, func() bool { return b.text(window) != near }, 10*time.Second, 50*time.Millisecond, "a key zooms")
	b.picture("trial-zoomed")
	b.do(chromedp.KeyEvent("0"))
	require.Eventually(t, func() bool { return b.text(window) == all }, 10*time.Second, 50*time.Millisecond)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('svg.line a[href*="/alerts/"]').dispatchEvent(new MouseEvent("click", {bubbles: true}))`),
		chromedp.WaitReady(chromedp.CSS("table.facts")))
	assert.Contains(t, b.text("location.pathname"), "/alerts/", "a mark leads to its evidence")

	b.visit(trial+"/map", "map")
	classes := `[...document.querySelectorAll("rect.host")].map((h) => h.getAttribute("class")).filter((c) => c !== "host quiet").length`
	assert.NotEqual(t, "0", b.text(classes))
	b.do(chromedp.Evaluate[chromedp.Void](`(() => { const s = document.querySelector("[data-scrub]"); s.value = 0; s.dispatchEvent(new Event("input")); })()`))
	assert.Equal(t, "0", b.text(classes), "at the beginning nothing has happened")
	assert.Equal(t, "0:00:00", b.text(`document.querySelector("[data-clock]").textContent`))
	before := b.text(classes)
	b.do(chromedp.Click(chromedp.CSS("[data-play]")))
	require.Eventually(t, func() bool { return b.text(classes) != before }, 40*time.Second, 100*time.Millisecond, "time goes on")
	at := int(12345)
	b.visit(fmt.Sprintf("%s/map?at=%d", trial, at), "")
	shown := b.text(classes)
	command(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.visit(fmt.Sprintf("%s/map?at=%d", trial, at), "")
	command(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{})
	assert.Equal(t, shown, b.text(classes), "a map is the same without scripts")

	b.visit(s.url+"/", "")
	b.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab))
	assert.Equal(t, "Trials", b.text("document.activeElement.textContent"), "pages are reached by keyboard")
	b.do(chromedp.KeyEvent(kb.Enter), chromedp.WaitReady(chromedp.CSS("form.filter")))

	command(b, emulation.SetEmulatedMedia,
		emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
	b.visit(trial, "trial-dark")
	b.visit(trial+"/map", "map-dark")
	command(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 844,
		DeviceScaleFactor: 2, Mobile: true})
	for name, path := range map[string]string{"runs-phone": "/", "trials-phone": "/trials", "": "/compare?baseline=default&candidate=night"} {
		b.visit(s.url+path, name)
	}
	b.visit(trial, "trial-phone")
	b.visit(trial+"/map", "")
}

// TestApprovalsWithChromium lets a person approve what a live run asks, with a token that they
// log in with.
func TestApprovalsWithChromium(t *testing.T) {
	b := newBrowser(t)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(3))
	require.NoError(t, err)
	defer cluster.Close()
	broker := cluster.ListenAddrs()[0]
	s := &served{t: t, dir: t.TempDir()}
	s.run("run", "quiet-day", "--trials", "1", "--db", "trials.db", "--set", "background.rate=0.05")
	s.run("emit", "ransomware", "--brokers", broker, "--topic", "logs", "--inventory", "estate.yaml", "--speed", "0",
		"--set", "background.rate=0.1")
	port := freePort(t)
	s.background("live", "--brokers", broker, "--topic", "logs=ndjson", "--from-oldest", "--inventory", "estate.yaml",
		"--listen", "127.0.0.1:"+port)
	require.Eventually(t, func() bool {
		c := exec.Command(binary(t), "approve", "--url", "http://127.0.0.1:"+port)
		c.Dir = s.dir
		out, _ := c.CombinedOutput()
		return strings.Contains(string(out), "RISK")
	}, 60*time.Second, 300*time.Millisecond, "somebody is asked")
	s.url = s.serve("--live", "http://127.0.0.1:"+port, "--token-file", "token")
	token, err := os.ReadFile(filepath.Join(s.dir, "token"))
	require.NoError(t, err)

	b.do(chromedp.Navigate(s.url+"/approvals"), chromedp.WaitReady(chromedp.CSS("input[name=token]")))
	b.do(chromedp.SendKeys(chromedp.CSS("input[name=token]"), strings.TrimSpace(string(token))+kb.Enter),
		chromedp.WaitReady(chromedp.CSS("nav.top")))
	b.visit(s.url+"/approvals", "")
	b.do(chromedp.WaitReady(chromedp.CSS("article.request")))
	b.picture("approvals")
	asked := b.text(`document.querySelector("article.request").dataset.request`)
	b.do(chromedp.SendKeys(chromedp.CSS("article.request input[name=by]"), "kim"),
		chromedp.Click(chromedp.CSS("article.request button.approve")), chromedp.WaitReady(chromedp.CSS(".done")))
	assert.Contains(t, b.text(`document.querySelector(".done").textContent`), asked)
	require.Eventually(t, func() bool {
		audit, err := os.ReadFile(filepath.Join(s.dir, "live", "audit.ndjson"))
		return err == nil && strings.Contains(string(audit), `"by":"kim"`)
	}, 30*time.Second, 100*time.Millisecond, "the answer stands in the audit file")
	assert.Contains(t, s.run("audit", "verify", "live/audit.ndjson"), "lines in order")
}
