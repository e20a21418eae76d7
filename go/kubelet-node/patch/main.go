// Patch reads the diff of a page such as KUBELET.md and applies it to a source tree, which stays as it is: it writes the changed files to a
// folder, and an overlay for `go build -overlay`. So none of the tree's code is in this repository, and a page that has become wrong fails.
//
//	patch PAGE TREE FOLDER
//
// Each file's part of the diff begins with `--- a/FILE`; its hunks begin with `@@`. What a hunk takes away, with the lines around it, has to
// be in the file exactly once. The page's line `Copy ... of that folder to DIR` names files that are added.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: patch PAGE TREE FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "patch:", err)
		os.Exit(1)
	}
}

func run(page, tree, folder string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	overlay := map[string]string{}
	for name, hunks := range diffs(string(text)) {
		source, err := os.ReadFile(filepath.Join(tree, name))
		if err != nil {
			return err
		}
		lines := strings.Split(string(source), "\n")
		for i, hunk := range hunks {
			if lines, err = apply(lines, hunk); err != nil {
				return fmt.Errorf("%s, hunk %d: %w", name, i+1, err)
			}
		}
		changed := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(changed), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(changed, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			return err
		}
		overlay[filepath.Join(tree, name)] = changed
	}
	if len(overlay) == 0 {
		return errors.New("the page has no diff")
	}
	added, err := copies(string(text), filepath.Join(filepath.Dir(page), "comparison/latest/kubeletgc"))
	if err != nil {
		return err
	}
	for name, from := range added {
		overlay[filepath.Join(tree, name)] = from
	}
	written, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "overlay.json"), written, 0o644)
}

// hunk is what a diff replaces, and by what.
type hunk struct{ old, new []string }

// diffs returns the hunks of each file.
func diffs(page string) map[string][]hunk {
	found := map[string][]hunk{}
	name, isDiff := "", false
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			name, isDiff = "", line == "```diff"
		case !isDiff || strings.HasPrefix(line, "+++ "):
		case strings.HasPrefix(line, "--- a/"):
			name = strings.TrimPrefix(line, "--- a/")
		case strings.HasPrefix(line, "@@"):
			found[name] = append(found[name], hunk{})
		case len(found[name]) > 0:
			last := &found[name][len(found[name])-1]
			rest := strings.TrimPrefix(line, line[:min(1, len(line))])
			if !strings.HasPrefix(line, "+") {
				last.old = append(last.old, rest)
			}
			if !strings.HasPrefix(line, "-") {
				last.new = append(last.new, rest)
			}
		}
	}
	return found
}

// apply replaces what a hunk takes away.
func apply(lines []string, change hunk) ([]string, error) {
	places := []int{}
	for at := range lines {
		if at+len(change.old) <= len(lines) && slices.Equal(lines[at:at+len(change.old)], change.old) {
			places = append(places, at)
		}
	}
	if len(change.old) == 0 || len(places) != 1 {
		return nil, fmt.Errorf("these lines are %d times in the file:\n%s", len(places), strings.Join(change.old, "\n"))
	}
	return slices.Replace(lines, places[0], places[0]+len(change.old), change.new...), nil
}

var (
	copyLine = regexp.MustCompile("(?m)^1\\. Copy (.*) of that folder to `([^`]*)`")
	fileName = regexp.MustCompile("`([a-z]+\\.go)`")
)

// copies returns where the added files are.
func copies(page, folder string) (map[string]string, error) {
	line := copyLine.FindStringSubmatch(page)
	if line == nil {
		return nil, errors.New("the page does not say which files to copy")
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	added := map[string]string{}
	for _, name := range fileName.FindAllStringSubmatch(line[1], -1) {
		added[filepath.Join(line[2], name[1])] = filepath.Join(folder, name[1])
	}
	return added, nil
}
