module github.com/crigc/crigc/go/check

go 1.26.0

require github.com/crigc/crigc/go v0.0.0

replace github.com/crigc/crigc/go => ../
