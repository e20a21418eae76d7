module github.com/crigc/crigc/go/comparison

go 1.26.0

require github.com/crigc/crigc/go v0.0.0

replace github.com/crigc/crigc/go => ../
