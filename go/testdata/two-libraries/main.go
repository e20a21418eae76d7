// Makes a dry run beside another Rust library, which panics and catches that. Argument: the runtime's endpoint. CGO_LDFLAGS names the library.
package main

// #include <stdint.h>
// extern uint32_t other_catches(uint32_t times);
import "C"

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/crigc/crigc/go"
)

// lines lets the other library unwind while crigc runs, for the first lines of the log.
type lines struct{ count int }

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *lines) WithGroup(string) slog.Handler            { return l }
func (l *lines) Handle(context.Context, slog.Record) error {
	if l.count++; l.count <= 5 {
		catches()
	}
	return nil
}

func catches() {
	if caught := C.other_catches(3); caught != 2 {
		panic(fmt.Sprint("the other library caught ", caught, " of 2 panics"))
	}
}

func main() {
	catches()
	log := &lines{}
	engine, err := crigc.New(crigc.Config{
		Settings: map[string]string{"container-runtime-endpoint": os.Args[1], "pod-logs-dir": "", "container-logs-dir": ""},
		Logger:   slog.New(log),
	})
	if err != nil {
		panic(err)
	}
	report, err := engine.CollectContainers(context.Background(), crigc.DryRun)
	if err != nil || len(report.Entries) == 0 || log.count == 0 {
		panic(fmt.Sprint(report, err, log.count))
	}
	engine.Close()
	catches()
	fmt.Println("both work")
}
