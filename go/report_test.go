package crigc_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/crigc/crigc/go"
)

// nasty is a node with names of all sorts, whose first dead container cannot be removed.
func nasty(t *testing.T) []string {
	names := []string{"plain", `quote"`, `back\slash`, "line\nend", "tab\tand\x01", "\xff\xfe", "\u2028<&>", "\x7f", "日本", ""}
	var containers []object
	for i, name := range names {
		for attempt := range 3 {
			id := fmt.Sprintf("c%d-%d", i, attempt)
			containers = append(containers, deadContainer(id, hex(name), fmt.Sprint("uid-", i), attempt))
		}
	}
	images := []object{{"id": "sha256:1", "tags": []any{hex("r/\xff:v1\n")}, "size": 12345}}
	return []string{
		"--node", asJSON(t, object{"containers": containers, "images": images}),
		"--faults", faults(t, object{"method": "RemoveContainer", "id": "c0-0", "action": object{"code": []any{13, "it says \"no\"\nand \\ \u2028"}}}),
	}
}

// The example agent prints what the library's gc_report_json gives.
func TestJSONIsTheLibrarys(t *testing.T) {
	agent := cmp.Or(os.Getenv("CRIGC_AGENT"), "../target/agent")
	if _, err := os.Stat(agent); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("skipped: %v; build it with `make agent`", err)
	}
	options := nasty(t)
	theirs, ours := startSim(t, options...), startSim(t, options...)
	// One after another, or the order of the removals is not the same.
	arguments := []string{"--once", "--json", "--apply", "--containers", "--max-parallel-removals", "1"}
	for key, value := range theirs.config().Settings {
		arguments = append(arguments, "--"+key, value)
	}
	out, err := exec.Command(agent, arguments...).Output()
	if len(out) == 0 {
		t.Fatal("the agent prints nothing:", err)
	}
	config := ours.config()
	config.Settings["max-parallel-removals"] = "1"
	report, err := open(t, config).CollectContainers(background, 0)
	if err != nil {
		t.Fatal(err)
	}
	if pace := report.Pace[crigc.Container]; pace.InFlightMost != 1 || pace.InFlightMean < 0.9 || pace.InFlightMean > 1.1 {
		t.Error(pace)
	}
	if report.Count(crigc.Container, crigc.Failed) != 1 || report.Count(crigc.Container, crigc.Removed) < 10 {
		t.Error("the node does not show enough")
	}
	// Times differ, and error messages name the sockets.
	same := func(text string) string {
		text = regexp.MustCompile(`"started":"[^"]*","seconds":[0-9.e-]+`).ReplaceAllString(strings.TrimSpace(text), "")
		text = regexp.MustCompile(`"in_flight_mean":[0-9.e-]+|"rest_seconds":[0-9.e-]+`).ReplaceAllString(text, "")
		return strings.NewReplacer(theirs.endpoint, "SOCKET", ours.endpoint, "SOCKET").Replace(text)
	}
	if same(string(out)) != same(report.JSON()) {
		t.Errorf("the library: %s\nthe package: %s", out, report.JSON())
	}
}

func TestJSONIsComplete(t *testing.T) {
	s := startSim(t, "--pods", "3", "--dead-containers", "6")
	report, err := open(t, s.config()).CollectContainers(background, crigc.DryRun)
	if err != nil {
		t.Fatal(err)
	}
	if head := fmt.Sprintf(`"started":"%s","seconds":%v,`, report.Started.UTC().Format("2006-01-02T15:04:05.000Z"), report.Took.Seconds()); !strings.Contains(report.JSON(), head) {
		t.Errorf("%s is not in %.200s", head, report.JSON())
	}
	paced := &crigc.Report{Pace: map[crigc.Kind]crigc.Pace{crigc.Image: {InFlightMost: 1}, crigc.Sandbox: {InFlightMean: 1.5, InFlightMost: 2, Rest: 1500 * time.Millisecond}}}
	if want := `"pace":{"sandbox":{"in_flight_mean":1.5,"in_flight_most":2,"rest_seconds":1.5},"image":{"in_flight_mean":0,"in_flight_most":1,"rest_seconds":0}},`; !strings.Contains(paced.JSON(), want) {
		t.Errorf("%s is not in %s", want, paced.JSON())
	}
	own := &crigc.Report{Pass: report.Pass, DryRun: true, Started: report.Started, Took: report.Took, Entries: report.Entries}
	figures := &crigc.Report{Pass: crigc.PassImages, Status: crigc.ErrIO, Error: `no "figures"`, FSBefore: &crigc.FSUsage{Capacity: 9, Available: 1}, FSAfter: &crigc.FSUsage{Capacity: 9, Available: 5, Inodes: 8, InodesFree: 4}}
	if want := `"status":"GC_ERROR_IO","error":"no \"figures\"",`; !strings.Contains(figures.JSON(), want) {
		t.Errorf("%s is not in %s", want, figures.JSON())
	}
	if want := `"bytes_freed":0,"fs":{"capacity":9,"available_before":1,"available_after":5,"inodes":8,"inodes_free_before":0,"inodes_free_after":4},`; !strings.Contains(figures.JSON(), want) {
		t.Errorf("%s is not in %s", want, figures.JSON())
	}
	unknown := &crigc.Report{Pass: 7, Entries: []crigc.Entry{{Kind: 8, Outcome: -9, Reason: "new", Error: `e"`}}}
	for _, report := range []*crigc.Report{report, own, figures, paced, unknown, {}} {
		text, err := json.Marshal(report)
		var read struct {
			Pass     *string
			Status   *string
			Error    *string
			DryRun   *bool `json:"dry_run"`
			Started  *string
			Seconds  *float64
			Removed  map[string]int
			Kept     map[string]int
			Failed   map[string]int
			Refused  map[string]int
			FS       map[string]uint64
			Freed    *uint64 `json:"bytes_freed"`
			Pace     map[string]map[string]float64
			Entries  []map[string]any
			Leftover any
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err != nil || decoder.Decode(&read) != nil || len(read.Removed) != 5 || len(read.Kept) != 5 || len(read.Failed) != 5 || len(read.Refused) != 5 || len(read.Entries) != len(report.Entries) {
			t.Fatalf("%v: %s", err, text)
		}
		if *read.Pass != report.Pass.String() || *read.DryRun != report.DryRun || *read.Status != report.Status.String() || (read.FS == nil) != (report.FSBefore == nil) || len(read.Pace) != len(report.Pace) || read.Started == nil || read.Seconds == nil || read.Freed == nil {
			t.Errorf("%s", text)
		}
	}
	if got := unknown.Entries[0].Kind.String() + " " + unknown.Entries[0].Outcome.String(); got != "kind-8 outcome--9" {
		t.Error(got)
	}
}

// An entry alone has the form that it has in its report.
func TestJSONOfAnEntry(t *testing.T) {
	entries := []crigc.Entry{{Kind: crigc.Image, Outcome: crigc.Failed, ID: `a"b\`, Reason: crigc.ReasonSpace, Error: "no", Bytes: 7}, {ID: "line\nend"}}
	report := &crigc.Report{Entries: entries}
	for name, value := range map[string]any{"values": entries, "pointers": []*crigc.Entry{&entries[0], &entries[1]}} {
		text, err := json.Marshal(value)
		if err != nil || !strings.HasSuffix(report.JSON(), `"entries":`+string(text)+"}") {
			t.Errorf("%s: %v, %s is not in %s", name, err, text, report.JSON())
		}
		var read []struct{ Kind, Outcome, ID, Reason string }
		if err := json.Unmarshal(text, &read); err != nil || read[0].Kind != "image" || read[0].Outcome != "failed" || read[0].ID != `a"b\` || read[1].ID != "line\nend" {
			t.Errorf("%s: %v, %+v", name, err, read)
		}
	}
}

// Explanations are there if they are wanted, in the report of a call and in that of Ended, and not in the JSON.
func TestExplanations(t *testing.T) {
	for _, explains := range []bool{false, true} {
		s := startSim(t, nasty(t)...)
		config := s.config()
		config.Explain = explains
		config.Settings["minimum-container-ttl-duration"] = "1h"
		config.Clock = func() time.Time { return time.Unix(61, 0) }
		var ended *crigc.Report
		config.Ended = func(_ crigc.Pass, report *crigc.Report, _ error) { ended = report }
		report, err := open(t, config).CollectContainers(background, crigc.DryRun)
		if err != nil || len(report.Entries) < 10 {
			t.Fatal(err, report)
		}
		for i, entry := range report.Entries {
			if entry.Explanation != ended.Entries[i].Explanation || (entry.Explanation != "") != explains {
				t.Errorf("%q, %q", entry.Explanation, ended.Entries[i].Explanation)
			}
			isRead := entry.Reason != "unknown-state"
			if explains && isRead && !strings.Contains(entry.Explanation, "minimum-container-ttl-duration is 1h0m0s.") {
				t.Errorf("%+v", entry)
			}
		}
		if explains && report.Entries[0].Explanation != "Kept: it is younger than its minimum age. It was created 1m0s ago; minimum-container-ttl-duration is 1h0m0s." {
			t.Error(report.Entries[0].Explanation)
		}
		if strings.Contains(report.JSON(), "1h0m0s") {
			t.Error("the JSON has explanations")
		}
	}
}

func TestReasonsAreThoseOfTheHeader(t *testing.T) {
	header, err := os.ReadFile("../include/crigc.h")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?s)\(.*?\)|\n \*`).ReplaceAllString(between(string(header), "Reasons in gc_entry.", "The keys with"), "")
	words := regexp.MustCompile(`[a-z]+(-[a-z]+)*`).FindAllString(strings.NewReplacer("Removed:", "", "Kept:", "").Replace(text), -1)
	if len(words) < 30 {
		t.Fatal(words)
	}
	for _, word := range words {
		if reason, known := crigc.Intern(word); !known || string(reason) != word {
			t.Errorf("the package does not know %q", word)
		}
	}
	if reason, known := crigc.Intern("brand-new"); known || reason != "brand-new" {
		t.Errorf("%q, %v", reason, known)
	}
}

// between is the text after the one and before the other.
func between(text, from, to string) string {
	_, text, _ = strings.Cut(text, from)
	text, _, _ = strings.Cut(text, to)
	return text
}

func TestStatusesAreThoseOfTheHeader(t *testing.T) {
	header, err := os.ReadFile("../include/crigc.h")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^#define (GC_ERROR_[A-Z_]+) (\d+)$`).FindAllStringSubmatch(string(header), -1)
	if len(lines) < 12 {
		t.Fatal(lines)
	}
	for i, line := range lines {
		status := crigc.Status(i + 1)
		if fmt.Sprint(i+1) != line[2] || status.String() != line[1] || strings.Contains(status.Error(), "status") {
			t.Errorf("%v: %v, %q", line, status.String(), status.Error())
		}
	}
	if unknown := crigc.Status(99); unknown.String() != "GC_ERROR_UNKNOWN" || unknown.Error() != "crigc: status 99" {
		t.Errorf("%v: %q", unknown.String(), unknown.Error())
	}
}

// A report of many entries takes as many allocations as one of few.
func TestAllocationsDoNotGrowWithTheReport(t *testing.T) {
	allocations := func(containers string) (entries int, each float64) {
		s := startSim(t, "--pods", "50", "--dead-containers", containers)
		engine := open(t, s.config())
		each = testing.AllocsPerRun(3, func() {
			report, err := engine.CollectContainers(background, crigc.DryRun)
			if err != nil {
				t.Fatal(err)
			}
			entries = len(report.Entries)
		})
		return entries, each
	}
	fewEntries, few := allocations("100")
	manyEntries, many := allocations("20000")
	t.Logf("%d entries: %v allocations; %d entries: %v", fewEntries, few, manyEntries, many)
	if manyEntries < 20_000 || many > few+20 {
		t.Error("allocations grow with the report")
	}
}

func BenchmarkReport(b *testing.B) {
	s := startSim(b, "--pods", "50", "--dead-containers", "20000")
	engine := open(b, s.config())
	report, err := engine.CollectContainers(context.Background(), crigc.DryRun)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("pass", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if _, err := engine.CollectContainers(context.Background(), crigc.DryRun); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			_ = report.JSON()
		}
	})
}
