package oldest

import (
	"fmt"
	"reflect"

	"github.com/crigc/crigc/go/comparison"
	"google.golang.org/grpc"
)

// connectionOf is the private connection of a client of this kubelet, in its stub of the service.
func connectionOf(service any, stub string) (*grpc.ClientConn, error) {
	held, err := comparison.Field(service, stub)
	if err != nil {
		return nil, err
	}
	if held.Kind() != reflect.Interface || held.Elem().Kind() != reflect.Pointer {
		return nil, fmt.Errorf("%s of %T is a %s", stub, service, held.Type())
	}
	connection := held.Elem().Elem().FieldByName("cc")
	if !connection.IsValid() || connection.Type() != reflect.TypeFor[*grpc.ClientConn]() {
		return nil, fmt.Errorf("%s of %T holds no connection", stub, service)
	}
	return (*grpc.ClientConn)(connection.UnsafePointer()), nil
}
