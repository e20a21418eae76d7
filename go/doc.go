// Package crigc is the kubelet's garbage collection: it removes dead containers, pod sandboxes, pod logs and unused images
// from a node, through any container runtime that speaks CRI, under the kubelet's own policies. It is for kubelet forks, node
// agents and other programs that look after a node. A static library with a C interface does the work; this package calls it,
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
// Settings are named like the kubelet's flags, see [Keys] and [Config.AddFlags]; [Config.LoadKubeletConfig] takes them from the files that
// the node's kubelet has. The host reports which pods are gone, in Config.PodStates, or, if its list of pods describes the past, in
// Config.PodStatesAsOf with the time of the list. Without them only limits and thresholds apply. With DryRun a pass decides and reports,
// but removes nothing. example/collect is a whole program.
//
// # Threads
//
// Any number of goroutines may use an [Engine] at once. Two passes of one kind never overlap: other callers wait for their turn, each on a
// thread of the operating system, as in every call of C from Go. Only [Engine.Start] starts threads of the library, one for each kind, and
// [Engine.Stop] ends them. Between passes an engine has no open descriptor but the lock of image-records-file and, unless started, no
// thread. After [Engine.Close] neither is left.
//
// A context's deadline and cancel end a pass soon, and the report says what was done. They cannot end a system call that hangs, such
// as one on a dead network mount.
//
// # Callbacks
//
// Passes call the functions in [Config]: a called pass on the caller's goroutine, a periodic pass on a thread of the library. An
// engine never calls one of them twice at once, but PodStates of a container pass may run beside Approve of an image pass. They
// should return within milliseconds, and must not wait for anything that waits for the engine: a pass waits for them, and Close
// waits for the pass.
//
//   - A panic is recovered. The library receives the answer that removes nothing (not ready, false, an error), the panic is logged
//     with its stack (at most eight a minute), and the error of the pass has a [PanicError]. If a periodic pass has reported its end
//     already, as in Ended itself, the panic is only logged.
//   - A callback must not call runtime.Goexit, nor a function that calls it, such as testing.T.FailNow: the thread's stack has
//     frames of C, which Goexit cannot leave.
//   - In a callback, the methods of every engine return [ErrBusy], and so do New and [Config.LoadKubeletConfig]. Stop does nothing there,
//     and Metrics returns "". Close only closes the engine there, and frees it in the background.
//
// # Errors
//
// Every error of the library is an [*Error] with a [Status], and errors.Is finds the status:
//
//	switch {
//	case errors.Is(err, crigc.ErrUnavailable): // no runtime answers; try later
//	case errors.Is(err, context.Canceled): // the context, and the pass with it
//	}
//
// The error of a callback is joined to it, so one error may hold several. If the pass began, there is a report beside the error.
//
// # Metrics
//
// [Engine.Metrics] is text for Prometheus; docs/metrics.md of the project explains each name. A program can serve it as it is, with the
// content type `text/plain; version=0.0.4; charset=utf-8`. Beside metrics of its own, and with several engines, it is one more gatherer of
// github.com/prometheus/client_golang:
//
//	gatherer := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
//		parser := expfmt.NewTextParser(model.UTF8Validation)
//		families, err := parser.TextToMetricFamilies(strings.NewReader(engine.Metrics()))
//		return slices.Collect(maps.Values(families)), err
//	})
//	gatherers := prometheus.Gatherers{prometheus.DefaultGatherer, gatherer}
//	http.Handle("/metrics", promhttp.HandlerFor(gatherers, promhttp.HandlerOpts{}))
//
// # Linking
//
// The package needs cgo, a C compiler, Linux, and the static library libcrigc.a. `go get` fetches neither the library, which
// is written in Rust and not in this module, nor the header. There are two ways to get them:
//
// A checkout. Build the library there, and point your module at it with a replace or with go.work. The package then finds
// ../include/crigc.h and ../target/library/libcrigc.a:
//
//	git clone https://github.com/crigc/crigc && make -C crigc library
//	go mod edit -replace github.com/crigc/crigc/go=./crigc/go && go mod tidy
//
// An installation. `make library && make install PREFIX=/usr/local` in a checkout of the same release installs the library, the header
// and files for pkg-config; then the package may be in the module cache:
//
//	go build -tags crigc_pkgconfig ./...
//
// This links the static library; -tags crigc_pkgconfig,crigc_shared links libcrigc.so.1, which the program then loads when it starts.
// Set PKG_CONFIG_PATH if crigc-static.pc (of the shared library crigc.pc) is not in a default place. Without the tag, a header and a
// library in the C compiler's own default places are found as well; a build tree beside the package comes first.
//
// Go ignores libcrigc.a when it decides what is up to date. After a change of the library, `go build` leaves an existing program as
// it is, `go run` runs the program in its cache, and `go test` prints its old results. Use -a, or another value of CGO_LDFLAGS, or
// remove the program; `go test -count=1` is enough for tests. [CheckLibrary] and New compare the interface versions of header and
// library; they cannot distinguish two builds of one version.
//
// -ldflags '-extldflags "-Wl,--gc-sections"' leaves out the parts of the library that a program does not use. -ldflags '-extldflags
// -static' links a program that needs no shared library at all.
//
// Without cgo the build ends with `undefined: crigc_needs_cgo...`. Go switches cgo off if CGO_ENABLED is 0, if there is no C compiler, and
// if it builds for another architecture: then set CGO_ENABLED=1, and CC to a C compiler for that one.
//
// # Manners
//
// The library installs no signal handler, prints nothing, never exits and raises no SIGPIPE. It logs to Config.Logger. Its own
// messages escape control characters, because names in them come from workloads.
package crigc
