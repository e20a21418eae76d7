package comparison

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// The node in crisim's own form, as it reads it with --node and writes it with --state-out.
type (
	// Container is a row of ListContainers. Times are ns since the epoch.
	Container struct {
		ID            string            `json:"id"`
		SandboxID     string            `json:"sandbox_id,omitempty"`
		Name          string            `json:"name,omitempty"`
		Attempt       uint32            `json:"attempt,omitempty"`
		State         any               `json:"state,omitempty"`
		CreatedAt     int64             `json:"created_at,omitempty"`
		StartedAt     int64             `json:"started_at,omitempty"`
		FinishedAt    int64             `json:"finished_at,omitempty"`
		ExitCode      int32             `json:"exit_code,omitempty"`
		Image         string            `json:"image,omitempty"`
		ImageID       string            `json:"image_id,omitempty"`
		ImageRef      string            `json:"image_ref,omitempty"`
		Labels        map[string]string `json:"labels,omitempty"`
		Annotations   map[string]string `json:"annotations,omitempty"`
		LogPath       string            `json:"log_path,omitempty"`
		MountedImages []string          `json:"mounted_images,omitempty"`
	}
	// Sandbox is a row of ListPodSandbox.
	Sandbox struct {
		ID             string            `json:"id"`
		UID            string            `json:"uid,omitempty"`
		Name           string            `json:"name,omitempty"`
		Namespace      string            `json:"namespace,omitempty"`
		Attempt        uint32            `json:"attempt,omitempty"`
		State          any               `json:"state,omitempty"`
		CreatedAt      int64             `json:"created_at,omitempty"`
		Labels         map[string]string `json:"labels,omitempty"`
		Annotations    map[string]string `json:"annotations,omitempty"`
		LogDirectory   string            `json:"log_directory,omitempty"`
		RuntimeHandler string            `json:"runtime_handler,omitempty"`
		Image          string            `json:"image,omitempty"`
	}
	// Image is a row of ListImages. Size in bytes.
	Image struct {
		ID             string   `json:"id"`
		Tags           []string `json:"tags,omitempty"`
		Digests        []string `json:"digests,omitempty"`
		Size           uint64   `json:"size,omitempty"`
		Pinned         bool     `json:"pinned,omitempty"`
		RuntimeHandler string   `json:"runtime_handler,omitempty"`
		Layers         []Layer  `json:"layers,omitempty"`
	}
	// Layer is what an image has on the filesystem. All images with a layer of this name share it.
	Layer struct {
		Name   string `json:"name"`
		Bytes  uint64 `json:"bytes,omitempty"`
		Inodes uint64 `json:"inodes,omitempty"`
	}
	// Filesystem of the images, in bytes and inodes; 0 inodes = it does not say.
	Filesystem struct {
		Mountpoint   string   `json:"mountpoint,omitempty"`
		Further      []string `json:"further_mountpoints,omitempty"`
		Capacity     uint64   `json:"capacity,omitempty"`
		Available    uint64   `json:"available"`
		FreedPercent uint64   `json:"freed_percent,omitempty"`
		Inodes       uint64   `json:"inodes,omitempty"`
		InodesFree   uint64   `json:"inodes_free,omitempty"`
		UsageFile    string   `json:"usage_file,omitempty"`
	}
	// Node is everything that a runtime knows.
	Node struct {
		Containers            []Container `json:"containers,omitempty"`
		Sandboxes             []Sandbox   `json:"sandboxes,omitempty"`
		Images                []Image     `json:"images,omitempty"`
		SandboxImage          string      `json:"sandbox_image,omitempty"`
		HidesSandboxImage     bool        `json:"hides_sandbox_image,omitempty"`
		Filesystem            Filesystem  `json:"filesystem"`
		NotFoundErrors        bool        `json:"not_found_errors,omitempty"`
		StopsOfNothingSucceed bool        `json:"stops_of_nothing_succeed,omitempty"`
	}
)

// Fault makes crisim answer calls of a method about an object with a status code.
type Fault struct {
	Method string `json:"method"`
	ID     string `json:"id,omitempty"`
	// Count is how many calls fail; 0 = all.
	Count  int `json:"count,omitempty"`
	Action any `json:"action"`
}

// Fails makes all calls of a method about one object fail.
func Fails(method, id string, code int, text string) Fault {
	return Fault{Method: method, ID: id, Action: map[string]any{"code": []any{code, text}}}
}

// Pretends makes all calls of a method about one object succeed and do nothing.
func Pretends(method, id string) Fault { return Fault{Method: method, ID: id, Action: "nothing"} }

// Hangs makes all calls of a method about one object hang.
func Hangs(method, id string) Fault { return Fault{Method: method, ID: id, Action: "hang"} }

// Call is a line of crisim's trace.
type Call struct {
	Method   string `json:"method"`
	ID       string `json:"id"`
	Code     int    `json:"code"`
	Argument int64  `json:"argument"`
}

// Words of states in crisim's form.
const (
	Created  = "created"
	Running  = "running"
	Exited   = "exited"
	Unknown  = "unknown"
	Ready    = "ready"
	NotReady = "notready"
)

// File is a file, a link or a directory below the node's own folder.
type File struct {
	// Path below the folder: pods/... for /var/log/pods, links/... for /var/log/containers.
	Path string
	// Link is the target of a symlink; one that begins with @ is below the folder, too.
	Link string `json:",omitempty"`
	// Dir makes it an empty directory.
	Dir bool `json:",omitempty"`
	// ChangedAt is when it was last changed, ns before or after now; 0 = long ago.
	ChangedAt int64 `json:",omitempty"`
	// Canary: the file may be removed only with the log directory of a pod that is gone.
	Canary bool `json:",omitempty"`
}

// at puts the folder in the place of a leading @.
func at(folder, path string) string {
	if rest, found := strings.CutPrefix(path, "@"); found {
		return folder + rest
	}
	return path
}

// lay makes the files of a node below folder.
func lay(folder string, files []File) error {
	for _, file := range files {
		path := filepath.Join(folder, file.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		var err error
		switch {
		case file.Dir:
			err = os.MkdirAll(path, 0o755)
		case file.Link != "":
			err = os.Symlink(at(folder, file.Link), path)
		default:
			err = os.WriteFile(path, []byte("2026-01-01T00:00:00Z stdout F line\n"), 0o644)
		}
		if err != nil {
			return fmt.Errorf("cannot lay %s: %w", file.Path, err)
		}
	}
	return nil
}

// listing is everything below the log directories of folder, directories with a slash behind them, the targets of links, and when
// each was changed last.
func listing(folder string) (found []string, links map[string]string, changed map[string]int64, err error) {
	links, changed = map[string]string{}, map[string]int64{}
	for _, top := range []string{"pods", "links", "outside"} {
		err := filepath.WalkDir(filepath.Join(folder, top), func(path string, entry os.DirEntry, err error) error {
			if err != nil {
				if os.IsNotExist(err) {
					return nil
				}
				return err
			}
			name := strings.TrimPrefix(path, folder+"/")
			switch {
			case entry.IsDir():
				name += "/"
			case entry.Type()&os.ModeSymlink != 0:
				if links[name], err = os.Readlink(path); err != nil {
					return err
				}
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			found = append(found, name)
			changed[name] = info.ModTime().UnixNano()
			return nil
		})
		if err != nil {
			return nil, nil, nil, err
		}
	}
	sort.Strings(found)
	return found, links, changed, nil
}

// Times that are not relative to now: none (created_at 0), and the first possible one.
const (
	Never = math.MinInt64
	Epoch = math.MinInt64 + 1
)

// since is a time of a node: ns before or after now.
func since(at, now int64) int64 {
	if at == Never || at == Epoch {
		return at - Never
	}
	return at + now
}

// placed is the node with absolute paths and times: @ stands for the folder, times are ns before or after now.
func placed(node Node, folder string, now int64) Node {
	var out Node
	text, err := json.Marshal(node)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		panic(fmt.Sprintf("a node is plain data: %v", err))
	}
	for i := range out.Containers {
		c := &out.Containers[i]
		c.CreatedAt = since(c.CreatedAt, now)
		if c.FinishedAt != 0 {
			c.FinishedAt = since(c.FinishedAt, now)
		}
		c.LogPath = at(folder, c.LogPath)
	}
	for i := range out.Sandboxes {
		s := &out.Sandboxes[i]
		s.CreatedAt = since(s.CreatedAt, now)
		s.LogDirectory = at(folder, s.LogDirectory)
	}
	return out
}
