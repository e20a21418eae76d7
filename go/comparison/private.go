package comparison

import (
	"fmt"
	"reflect"
	"sync"
	"time"
	"unsafe"
)

// Private fields of the kubelet that a test needs. They are found by name and type, so that New fails if a kubelet renames one, and no
// pass runs with wrong ages.

// Field is a private field of the struct that owner points to.
func Field(owner any, name string) (reflect.Value, error) {
	found := reflect.Indirect(reflect.ValueOf(owner)).FieldByName(name)
	if !found.IsValid() {
		return found, fmt.Errorf("%T has no field %s", owner, name)
	}
	return found, nil
}

// Private is a pointer to a private field of the struct that owner points to.
func Private[T any](owner any, name string) (*T, error) {
	found, err := Field(owner, name)
	if err != nil {
		return nil, err
	}
	if found.Type() != reflect.TypeFor[T]() {
		return nil, fmt.Errorf("%s of %T is a %s", name, owner, found.Type())
	}
	return (*T)(found.Addr().UnsafePointer()), nil
}

// Records are the image collector's records of images: a map from IDs to pointers to records.
type Records struct {
	lock *sync.Mutex
	byID reflect.Value
	// firstDetected and lastUsed are the offsets of these fields in a record.
	firstDetected, lastUsed uintptr
}

// RecordsOf finds them in an image collector.
func RecordsOf(manager any) (r Records, err error) {
	if r.lock, err = Private[sync.Mutex](manager, "imageRecordsLock"); err != nil {
		return r, err
	}
	if r.byID, err = Field(manager, "imageRecords"); err != nil {
		return r, err
	}
	if r.byID.Kind() != reflect.Map || r.byID.Type().Elem().Kind() != reflect.Pointer {
		return r, fmt.Errorf("imageRecords is a %s", r.byID.Type())
	}
	record := r.byID.Type().Elem().Elem()
	if r.firstDetected, err = timeIn(record, "firstDetected"); err != nil {
		return r, err
	}
	r.lastUsed, err = timeIn(record, "lastUsed")
	return r, err
}

// timeIn is the offset of the time of that name in a struct.
func timeIn(record reflect.Type, name string) (uintptr, error) {
	if record.Kind() != reflect.Struct {
		return 0, fmt.Errorf("%s is not a struct", record)
	}
	found, ok := record.FieldByName(name)
	if !ok || found.Type != reflect.TypeFor[time.Time]() {
		return 0, fmt.Errorf("%s has no time %s", record, name)
	}
	return found.Offset, nil
}

// Age moves all times back. The kubelet reads the real clock, which a test cannot set; older records have the same effect. A time that
// is not set is not changed: never used, or found before everything else.
func (r Records) Age(by time.Duration) {
	r.lock.Lock()
	defer r.lock.Unlock()
	for entries := r.byID.MapRange(); entries.Next(); {
		record := entries.Value().UnsafePointer()
		for _, offset := range []uintptr{r.firstDetected, r.lastUsed} {
			if at := (*time.Time)(unsafe.Add(record, offset)); !at.IsZero() {
				*at = at.Add(-by)
			}
		}
	}
}
