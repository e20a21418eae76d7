module github.com/crigc/crigc/go

go 1.24
