package crigc

import "time"

// Internals for tests of the outside.
var (
	CheckABI      = checkABI
	Nanoseconds   = nanoseconds
	ContextCauses = contextCauses
)

// Limiter limits logged panics.
func Limiter() func(now time.Time) (allowed bool, stopped int) { return new(limiter).allow }

// Timeout is the argument of gc_call_new for a deadline.
func Timeout(deadline time.Time) uint64 { return uint64(timeout(deadline, true)) }

// Intern is the constant of a reason's word.
func Intern(word string) (reason Reason, known bool) {
	unknown := map[string]Reason{}
	reason = intern(word, unknown)
	return reason, len(unknown) == 0
}
