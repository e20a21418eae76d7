// Package crigc is the kubelet's garbage collection: it removes dead containers, pod sandboxes, pod logs and unused images
// from a node, through any container runtime that speaks CRI, under the kubelet's own policies. It is for kubelet forks, node
// agents and other programs that maintain a node. A static library with a C interface does the work; this package calls it,
// and decides nothing itself.
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
// Settings are named like the kubelet's flags, see [Keys] and [Config.AddFlags]. The host reports which pods are gone in
// Config.PodStates, or, if its list of pods may be old, in Config.PodStatesAsOf with the time of the list; without them only
// limits and thresholds apply. With DryRun a pass decides and reports, and removes nothing. example/collect is a complete
// program.
//
// # Threads
//
// An [Engine] may be used from any number of goroutines at once. Two passes of one kind never overlap; further callers wait
// for their turn, each of them on an operating system thread, as in all C calls of Go. The library starts threads only in
// [Engine.Start], one for each kind, and [Engine.Stop] ends them. Between passes an engine has no descriptor, and unless it is
// started no thread; after [Engine.Close] nothing is left.
//
// A context's deadline and cancel end a pass soon, except in a system call on a mount that hangs. The report then says how
// far the pass came.
//
// # Callbacks
//
// Passes call the functions in [Config]: a called pass on the caller's goroutine, a periodic pass on a thread of the library.
// The same function is never called twice at once for one engine, but PodStates of a container pass may run beside Approve of
// an image pass. Functions should return within milliseconds, and must not wait for anything that waits for the engine: a
// pass waits for them, and Close waits for the pass.
//
//   - A panic is recovered. The library gets the answer that removes nothing (not ready, no, no figures), the panic is logged
//     with its stack (no more than eight a minute), and the pass's error has a [PanicError]. If a periodic pass has already
//     reported its end, as in Ended itself, the panic is only logged.
//   - A callback must not call runtime.Goexit, nor a function that calls it, such as testing.T.FailNow: the thread's stack has
//     frames of C, which Goexit cannot unwind.
//   - In a callback, calls of any engine and New return [ErrBusy], and Stop does nothing. Close only closes there, and frees
//     the engine in the background.
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
// The errors of callbacks that failed are joined to it. If the pass began, a report is returned together with the error.
//
// # Linking
//
// The package needs cgo, a C compiler, Linux, and the static library libcrigc.a. `go get` fetches neither the library, which
// is written in Rust and is not in this module, nor the header. There are two ways to get them:
//
// A checkout. Build the library there, and point your module at it with a replace or with go.work. The package then finds
// ../include/crigc.h and ../target/release/libcrigc.a:
//
//	git clone https://github.com/crigc/crigc && make -C crigc library
//	go mod edit -replace github.com/crigc/crigc/go=./crigc/go && go mod tidy
//
// An installation. `make install PREFIX=/usr/local` in a checkout of the same release installs the library, the header and a
// crigc.pc; then the package may be in the module cache:
//
//	go build -tags crigc_pkgconfig ./...
//
// Set PKG_CONFIG_PATH if crigc.pc is not in a default place. Without the tag, a header and a library in the C compiler's own
// default places are found, too; a build tree beside the package comes first.
//
// Go does not check libcrigc.a when it decides what is up to date: after a change of the library, `go build` keeps the old
// program, `go run` runs the one in its cache, and `go test` prints its old results. Use -a, or another value of CGO_LDFLAGS,
// or remove the program; `go test -count=1` is enough for tests. [CheckLibrary] and New compare the interface versions of
// header and library; they cannot distinguish two builds of the same version.
//
// -ldflags '-extldflags "-Wl,--gc-sections"' leaves out the parts of the library that a program does not use. A fully static
// program (-extldflags -static) cannot be linked with these flags, because there is no static libgcc_s; it can be linked with
// a crigc.pc of your own that names libgcc_eh instead.
//
// # Manners
//
// The library installs no signal handler, prints nothing, never exits and raises no SIGPIPE. It logs to Config.Logger. Its own
// messages escape control characters, because names in them come from workloads.
package crigc
