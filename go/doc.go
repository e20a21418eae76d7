// Package crigc is the kubelet's garbage collection: it removes dead containers, pod sandboxes, pod logs and unused images
// from a node, through any container runtime that speaks CRI, under the kubelet's own policies. It is for kubelet forks, node
// agents and whoever else looks after a node. The work is done by a static library with a C interface; this package is the
// way to it, and decides nothing itself.
//
// # Quick start
//
//	engine, err := crigc.New(crigc.Config{}) // the kubelet's defaults
//	if err != nil {
//		return err
//	}
//	defer engine.Close()
//	report, err := engine.CollectContainers(ctx, crigc.DryRun)
//	if err != nil {
//		return err
//	}
//	for i := range report.Entries {
//		entry := &report.Entries[i]
//		fmt.Println(entry.Kind, entry.ID, entry.Outcome, entry.Reason)
//	}
//
// Settings are named like the kubelet's flags, see [Keys] and [Config.AddFlags]. Which pods are gone is for the host to say,
// in Config.PodStates, or, where its list of pods is of the past, in Config.PodStatesAsOf with the time of the list; without
// them only limits and thresholds apply. With DryRun a pass decides and reports, and removes
// nothing. example/collect is a whole program.
//
// # Threads
//
// An [Engine] may be used from any number of goroutines at once. Two passes of one kind never overlap; further callers wait
// their turn, each of them on an operating system's thread, as Go does with calls of C. The library starts threads only in
// [Engine.Start], one for each kind, which [Engine.Stop] ends. Between passes an engine has no descriptor, and unless it is
// started no thread; after [Engine.Close] nothing is left.
//
// A context's deadline and cancel end a pass soon; what cannot be ended is a system call on a hung mount. The report then
// says how far the pass came.
//
// # Callbacks
//
// The functions in [Config] are called by passes: on the caller's goroutine where a pass was called, on a thread of the
// library where it is periodic. One of them is never called twice at once for one engine, but PodStates of a container pass
// may run beside Approve of an image pass. They should return within milliseconds, and must not wait for anything that waits
// for the engine: a pass waits for them, and Close waits for the pass.
//
//   - A panic is recovered. The library gets the answer that removes nothing (not ready, no, no figures), the panic is logged
//     with its stack (no more than eight a minute), and the pass's error has a [PanicError]. Where a periodic pass has told its
//     end already, as in Ended itself, the log alone tells.
//   - runtime.Goexit must not happen in a callback, nor what calls it, such as testing.T.FailNow: the thread's stack has
//     frames of C and cannot be left that way.
//   - Calling an engine from a callback, this one or another, gives [ErrBusy], and so does New; Stop does nothing there.
//     Close only closes there, and frees in the background.
//
// # Errors
//
// All errors of the library are an [*Error] with a [Status], and errors.Is finds the status:
//
//	switch {
//	case errors.Is(err, crigc.ErrUnavailable): // no runtime answers; try later
//	case errors.Is(err, context.Canceled): // the context, and the pass with it
//	}
//
// A failed callback is joined to it, so an error may be several. A report comes with an error, too, if the pass began.
//
// # Linking
//
// The package needs cgo, a C compiler, Linux, and the static library libcrigc.a. `go get` fetches neither the library, which
// is written in Rust and not in this module, nor the header. There are two ways to have them:
//
// A checkout. Build the library there, and point your module at it with a replace or with go.work. The package then finds
// ../include/crigc.h and ../target/release/libcrigc.a beside itself:
//
//	git clone https://github.com/crigc/crigc && make -C crigc library
//	go mod edit -replace github.com/crigc/crigc/go=./crigc/go && go mod tidy
//
// An installation. `make install PREFIX=/usr/local` in a checkout of the same release installs library, header and a
// crigc.pc; then the package may come out of the module cache:
//
//	go build -tags crigc_pkgconfig ./...
//
// Set PKG_CONFIG_PATH where crigc.pc is in no default place. Without the tag, a header and a library in the C compiler's own
// default places are found as well; a build tree beside the package comes first.
//
// Go does not look at libcrigc.a when it decides what is up to date: after a change of the library, `go build` leaves a
// program that is there as it was, `go run` runs the one in its cache, and `go test` tells its old results. Use -a, or another
// value of CGO_LDFLAGS, or remove the program; `go test -count=1` is enough for tests. [CheckLibrary], and New, compare the
// interface versions of header and library; two builds of one version they cannot tell apart.
//
// -ldflags '-extldflags "-Wl,--gc-sections"' leaves out what a program does not use of the library. A fully static program
// (-extldflags -static) cannot be linked with these flags, because there is no static libgcc_s; with a crigc.pc of one's own,
// which names libgcc_eh in its place, it can.
//
// # Manners
//
// The library installs no signal handler, prints nothing, never exits and raises no SIGPIPE. What it logs goes to
// Config.Logger. Its own messages escape control characters, because names in them come from workloads.
package crigc
