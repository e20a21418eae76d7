package crigc_test

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/crigc/crigc/go"
)

func TestKeysAreThoseOfTheManual(t *testing.T) {
	manual, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (.*?) \\|").FindAllStringSubmatch(string(manual), -1)
	keys := crigc.Keys()
	if len(rows) != len(keys) {
		t.Fatalf("%d keys in the manual, %d in the library", len(rows), len(keys))
	}
	for i, key := range keys {
		// An empty default is described in words.
		inManual := "none the same as the runtime's"
		if key.Default != "" {
			inManual = "`" + key.Default + "`"
		}
		if key.Name != rows[i][1] || !strings.Contains(inManual, rows[i][2]) || key.Help == "" {
			t.Errorf("%+v, in the manual %q", key, rows[i][1:])
		}
	}
}

func TestDefaultsMayBeSet(t *testing.T) {
	settings := map[string]string{}
	for _, key := range crigc.Keys() {
		settings[key.Name] = key.Default
	}
	open(t, crigc.Config{Settings: settings})
}

func TestSettingsAreRefused(t *testing.T) {
	for name, row := range map[string]struct {
		settings map[string]string
		status   crigc.Status
		says     string
	}{
		"unknown key":   {map[string]string{"image-gc-hihg-threshold": "85"}, crigc.ErrInvalidArgument, "image-gc-hihg-threshold"},
		"bad value":     {map[string]string{"image-gc-high-threshold": "101"}, crigc.ErrInvalidArgument, "101"},
		"no UTF-8":      {map[string]string{"pod-logs-dir": "/\xff"}, crigc.ErrInvalidArgument, "UTF-8"},
		"NUL in value":  {map[string]string{"pod-logs-dir": "/a\x00b"}, crigc.ErrInvalidArgument, "NUL"},
		"NUL in key":    {map[string]string{"dry-run\x00": "true"}, crigc.ErrInvalidArgument, "NUL"},
		"only together": {map[string]string{"image-gc-high-threshold": "70"}, crigc.ErrConfig, "image-gc-low-threshold"},
		"the first one": {map[string]string{"b": "", "a": "", "c": ""}, crigc.ErrInvalidArgument, "`a`"},
	} {
		t.Run(name, func(t *testing.T) {
			engine, err := crigc.New(crigc.Config{Settings: row.settings})
			if engine != nil {
				t.Error("there is an engine")
			}
			wantIs(t, err, row.status)
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("%q does not say %q", err, row.says)
			}
		})
	}
}

func TestFlagsWriteSettings(t *testing.T) {
	for name, row := range map[string]struct {
		arguments []string
		want      map[string]string
		says      string
	}{
		"none":             {nil, nil, ""},
		"a value":          {[]string{"--image-gc-high-threshold=90"}, map[string]string{"image-gc-high-threshold": "90"}, ""},
		"yes or no":        {[]string{"-dry-run"}, map[string]string{"dry-run": "true"}, ""},
		"the last":         {[]string{"-dry-run", "-dry-run=false"}, map[string]string{"dry-run": "false"}, ""},
		"empty":            {[]string{"-pod-logs-dir", ""}, map[string]string{"pod-logs-dir": ""}, ""},
		"bad value":        {[]string{"-image-gc-high-threshold", "101"}, nil, "a whole number from 0 to 100"},
		"bad yes or no":    {[]string{"-dry-run=maybe"}, nil, "`true` or `false`"},
		"not for a thread": {[]string{"-max-parallel-removals", "0"}, nil, "max-parallel-removals"},
	} {
		t.Run(name, func(t *testing.T) {
			var config crigc.Config
			set := flag.NewFlagSet("test", flag.ContinueOnError)
			set.SetOutput(new(bytes.Buffer))
			config.AddFlags(set)
			err := set.Parse(row.arguments)
			if (err == nil) != (row.says == "") || (err != nil && !strings.Contains(err.Error(), row.says)) {
				t.Errorf("error %v, not %q", err, row.says)
			}
			if len(config.Settings) != len(row.want) {
				t.Errorf("settings %v, not %v", config.Settings, row.want)
			}
			for key, value := range row.want {
				if set, is := config.Settings[key]; set != value || !is {
					t.Errorf("settings %v, not %v", config.Settings, row.want)
				}
			}
		})
	}
}

func TestFlagsShowTheirDefaultsOnce(t *testing.T) {
	config := crigc.Config{Settings: map[string]string{"image-gc-low-threshold": "7"}}
	set := flag.NewFlagSet("test", flag.ContinueOnError)
	var help bytes.Buffer
	set.SetOutput(&help)
	config.AddFlags(set)
	set.PrintDefaults()
	for _, says := range []string{"(default 85)", "(default 7)", "Default: the same as the runtime's.\n", "-image-gc-exempt value\n"} {
		if !strings.Contains(help.String(), says) {
			t.Errorf("%q is not in the help", says)
		}
	}
	if strings.Contains(help.String(), "Default: 85") || strings.Contains(help.String(), "Default: `85") {
		t.Error("a default stands there twice")
	}
}

func TestVersionsOfHeaderAndLibrary(t *testing.T) {
	if err := crigc.CheckLibrary(); err != nil {
		t.Error(err)
	}
	if !regexp.MustCompile(`^\d+\.\d+\.\d+`).MatchString(crigc.Version()) {
		t.Errorf("version %q", crigc.Version())
	}
	err := crigc.CheckABI(7, 8)
	wantIs(t, err, crigc.ErrConfig)
	for _, says := range []string{"version 7", "version 8", crigc.Version()} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%q does not say %q", err, says)
		}
	}
}

func TestClocksThatDoNotFit(t *testing.T) {
	for _, row := range []struct {
		time time.Time
		want int64
	}{
		{time.Time{}, 0},
		{time.Unix(-1, 0), 0},
		{time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC), 0},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), 0},
		{time.Unix(1, 5), 1_000_000_005},
	} {
		if got := crigc.Nanoseconds(row.time.UTC()); got != row.want {
			t.Errorf("%v gives %d, not %d", row.time, got, row.want)
		}
	}
}

func TestDeadlinesInMilliseconds(t *testing.T) {
	const (
		hour    = uint64(time.Hour / time.Millisecond)
		longest = uint64(math.MaxInt64 / time.Millisecond) // some 292 years
	)
	for name, row := range map[string]struct {
		deadline time.Time
		ms       uint64
	}{
		"passed":         {time.Now().Add(-time.Hour), 1},
		"long passed":    {time.Time{}, 1},
		"now":            {time.Now(), 1},
		"a moment":       {time.Now().Add(1), 1},
		"an hour":        {time.Now().Add(time.Hour), hour},
		"the longest":    {time.Now().Add(math.MaxInt64), longest},
		"in a year 9999": {time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), longest},
	} {
		// A minute, because time passes.
		if ms := crigc.Timeout(row.deadline); ms > row.ms+1 || ms+60_000 < row.ms || ms == 0 {
			t.Errorf("%s: %d ms instead of %d", name, ms, row.ms)
		}
	}
	ctx, cancel := context.WithTimeout(background, math.MaxInt64)
	defer cancel()
	deadline, _ := ctx.Deadline()
	if ms := crigc.Timeout(deadline); ms < longest-60_000 {
		t.Errorf("the longest timeout gives %d ms", ms)
	}
}

const typeOfFile = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"

// files writes files of the kubelet, and returns their folder.
func files(t *testing.T, fields map[string]string) string {
	folder := t.TempDir()
	for name, field := range fields {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(typeOfFile+field+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestLoadKubeletConfig(t *testing.T) {
	folder := files(t, map[string]string{
		"kubelet.yaml":   "imageGCHighThresholdPercent: 90\nimageMinimumGCAge: 0s",
		"conf.d/10.conf": "imageGCLowThresholdPercent: null\nruntimeRequestTimeout: 3m",
		"conf.d/20.yaml": "imageGCHighThresholdPercent: 70",
		"bad.yaml":       "imageMinimumGCAge: 5",
	})
	at := func(name string) string { return filepath.Join(folder, name) }
	var log bytes.Buffer
	config := crigc.Config{
		Settings: map[string]string{"image-gc-low-threshold": "7", "minimum-image-ttl-duration": "9m", "dry-run": "true"},
		Logger:   slog.New(slog.NewTextHandler(&log, nil)),
	}
	for _, name := range []string{"kubelet.yaml", "conf.d"} {
		if err := config.LoadKubeletConfig(at(name)); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{
		"image-gc-high-threshold": "90", "image-gc-low-threshold": "80", "minimum-image-ttl-duration": "2m0s",
		"runtime-request-timeout": "3m", "dry-run": "true",
	}
	if !maps.Equal(config.Settings, want) {
		t.Errorf("settings %v, not %v", config.Settings, want)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), at("conf.d/20.yaml")) {
		t.Errorf("the log says %q", &log)
	}
	open(t, config)
	for name, row := range map[string]struct {
		status crigc.Status
		says   string
	}{
		"bad.yaml":       {crigc.ErrConfig, "bad.yaml:3:20: imageMinimumGCAge is the number 5"},
		"missing.yaml":   {crigc.ErrIO, "missing.yaml"},
		"kubelet.y\x00l": {crigc.ErrInvalidArgument, "NUL"},
	} {
		err := config.LoadKubeletConfig(at(name))
		wantIs(t, err, row.status)
		if err == nil || !strings.Contains(err.Error(), row.says) || !maps.Equal(config.Settings, want) {
			t.Errorf("%s: %v, settings %v", name, err, config.Settings)
		}
	}
	config.Settings = map[string]string{"no-such-key": "1"}
	wantIs(t, config.LoadKubeletConfig(at("kubelet.yaml")), crigc.ErrInvalidArgument)
}

// A zero Config becomes that of the file.
func TestLoadKubeletConfigIntoNothing(t *testing.T) {
	folder := files(t, map[string]string{"10.conf": "podLogsDir: \"\"", "20.conf": "imageMaximumGCAge: 24h"})
	var config crigc.Config
	if err := config.LoadKubeletConfig(folder); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"image-maximum-gc-age": "24h"}; !maps.Equal(config.Settings, want) {
		t.Errorf("settings %v, not %v", config.Settings, want)
	}
}
