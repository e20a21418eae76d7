package comparison

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// imageRecords has the fields of crigc's file that are needed to make it older. Fields that are not named here are not changed.
type imageRecords struct {
	Format   int              `json:"crigc-image-records"`
	Endpoint string           `json:"endpoint"`
	Written  int64            `json:"written"`
	Watched  int64            `json:"watched"`
	Images   []map[string]any `json:"images"`
}

// recordsFormat is the format that aged knows.
const recordsFormat = 1

// aged makes the records in a file older, as if an engine had observed the images all the time. If there is no file, it does nothing.
func aged(path string, by time.Duration) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var records imageRecords
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // nanoseconds are more than a float holds
	if err := decoder.Decode(&records); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if records.Format != recordsFormat {
		return fmt.Errorf("%s has format %d, and %d is known here", path, records.Format, recordsFormat)
	}
	records.Watched += int64(by)
	for _, image := range records.Images {
		for _, key := range []string{"first_detected", "last_used"} {
			number, set := image[key].(json.Number)
			if !set {
				continue
			}
			at, err := number.Int64()
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			image[key] = at - int64(by)
		}
	}
	if text, err = json.Marshal(records); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}
