package defence

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hemostat/defenders/plugin"
	"hemostat/defenders/queue"
	"hemostat/defenders/sentinel"
	"hemostat/sim/strictyaml"
)

// programFile is a program outside that speaks the protocol of plug-ins.
type programFile struct {
	Name    string        `yaml:"name" required:"true" name:"true" doc:"name that its alerts or actions bear"`
	Command []string      `yaml:"command" json:",omitempty" doc:"command of a child process and its arguments; it runs in the folder of this file"`
	URL     string        `yaml:"url" json:",omitempty" doc:"address of a server that takes the messages as POST, in place of a command"`
	Files   []string      `yaml:"files" json:",omitempty" doc:"files that what it says depends on, relative to this file; those that the command names when absent"`
	Start   time.Duration `yaml:"start" json:",omitempty" doc:"time within which it must be ready; 30s when absent"`
	Answer  time.Duration `yaml:"answer" json:",omitempty" doc:"time within which it must answer a batch; 10s when absent"`
	Memory  int           `yaml:"memory_mb" json:",omitempty" doc:"megabytes of memory of a process; 2048 when absent"`
	Output  int           `yaml:"output_kb" json:",omitempty" doc:"kilobytes of an answer; 4096 when absent"`
}

// pluginFile is a detector from outside the program.
type pluginFile struct {
	Pos         strictyaml.Pos `yaml:"-" json:"-"`
	programFile `yaml:",inline"`
	Batch       batchFile     `yaml:"batch" doc:"how events are put together"`
	Service     time.Duration `yaml:"service" json:",omitempty" doc:"mean time that an event takes it, in virtual time; 0 when absent"`
}

// batchFile says when a batch goes.
type batchFile struct {
	Events int           `yaml:"events" json:",omitempty" doc:"so many events; 512 when absent"`
	Wait   time.Duration `yaml:"wait" json:",omitempty" doc:"or when the first has waited so long in virtual time; 2s when absent"`
}

// limits of what a variant may ask for.
const (
	maxPluginMemory = 1 << 20 // MB
	maxPluginOutput = 1 << 20 // kB
	maxBatch        = 1_000_000
)

// check reports what is wrong with a plug-in.
func (f *pluginFile) check() error {
	switch {
	case min(f.Batch.Wait, f.Service) < 0:
		return errors.New("times are not negative")
	case f.Batch.Events < 0 || f.Batch.Events > maxBatch:
		return fmt.Errorf("batch.events is at most %d", maxBatch)
	}
	return f.programFile.check()
}

func (f *programFile) check() error {
	switch {
	case len(f.Command) == 0 && f.URL == "" || len(f.Command) > 0 && f.URL != "":
		return errors.New("either command or url is expected")
	case len(f.Command) > 0 && f.Command[0] == "":
		return errors.New("the command is empty")
	case min(f.Start, f.Answer) < 0:
		return errors.New("times are not negative")
	case f.Memory < 0 || f.Memory > maxPluginMemory || f.Output < 0 || f.Output > maxPluginOutput:
		return fmt.Errorf("memory_mb and output_kb are at most %d", maxPluginMemory)
	}
	if f.URL != "" {
		if u, err := url.Parse(f.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("url: an address such as http://127.0.0.1:9000/ is expected, not %q", f.URL)
		}
	}
	return nil
}

// config is the program as plug-ins are configured; it runs in the folder of the variant's file.
func (f *programFile) config(base string) plugin.Config {
	return plugin.Config{
		Name: f.Name, Command: f.Command, URL: f.URL, Folder: cmp.Or(base, "."), Start: f.Start, Answer: f.Answer,
		Memory: uint64(f.Memory) << 20, Output: f.Output << 10,
	}
}

// files are those that the program's answers depend on.
func (f *programFile) files(base string) []string {
	if len(f.Files) > 0 {
		return f.Files
	}
	var out []string
	for _, word := range f.Command {
		if filepath.IsAbs(word) {
			continue
		}
		if info, err := os.Stat(filepath.Join(base, word)); err == nil && info.Mode().IsRegular() {
			out = append(out, word)
		}
	}
	return out
}

// preparePlugins checks the plug-ins and the agent, and makes a pool for each; digest covers their
// files.
func (v *Variant) preparePlugins(base string) (digest string, err error) {
	if len(v.file.Plugins) == 0 && v.file.Agent == nil {
		return "", nil
	}
	h := sha256.New()
	names := map[string]bool{}
	var faults []error
	for i := range v.file.Plugins {
		f := &v.file.Plugins[i]
		fault := func(err error) {
			faults = append(faults, f.Pos.Fault(fmt.Sprintf("plugins[%d]", i), "%s: %s", f.Name, err))
		}
		if err := f.check(); err != nil {
			fault(err)
			continue
		}
		if _, err := sentinel.KindByName(f.Name); err == nil || names[f.Name] {
			fault(errors.New("another detector has this name"))
		}
		names[f.Name] = true
		if err := f.hash(h, base); err != nil {
			fault(err)
		}
		c := f.config(base)
		c.Batch = plugin.Batch{Events: f.Batch.Events, Wait: f.Batch.Wait}
		pool := plugin.NewPool(c)
		v.pools = append(v.pools, pool)
		kind := pool.Kind()
		kind.Service = queue.Config{Mean: f.Service, Servers: 1, Waiting: cmp.Or(v.file.Services.Queue, 50_000)}
		v.detectors = append(v.detectors, sentinel.Chosen{Kind: kind})
	}
	if err := v.prepareAgent(h, base); err != nil {
		faults = append(faults, err)
	}
	return hex.EncodeToString(h.Sum(nil)), errors.Join(faults...)
}

// hash adds the files of a program.
func (f *programFile) hash(to io.Writer, base string) error {
	var faults []error
	for _, name := range f.files(base) {
		faults = append(faults, hashFile(to, filepath.Join(base, name)))
	}
	return errors.Join(faults...)
}

func hashFile(to io.Writer, name string) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	one := sha256.New()
	if _, err := io.Copy(one, in); err != nil {
		return err
	}
	_, err = to.Write(one.Sum(nil))
	return err
}

// pluginSources lists the files of the plug-ins and of the agent, for Sources.
func (f *variantFile) pluginSources(base string) []string {
	var out []string
	for i := range f.Plugins {
		out = append(out, f.Plugins[i].files(base)...)
	}
	if f.Agent != nil {
		out = append(out, f.Agent.files(base)...)
	}
	return out
}

// RunsPrograms tells whether a plug-in or the agent of the variant is a command that is run.
func (v *Variant) RunsPrograms() bool {
	return slices.ContainsFunc(v.file.Plugins, func(f pluginFile) bool { return len(f.Command) > 0 }) ||
		v.file.Agent != nil && len(v.file.Agent.Command) > 0
}

// Close ends the plug-ins of the variant that wait for a trial.
func (v *Variant) Close() error {
	var faults []error
	for _, p := range v.pools {
		faults = append(faults, p.Close())
	}
	return errors.Join(faults...)
}
