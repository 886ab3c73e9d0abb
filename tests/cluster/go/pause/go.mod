module isobench.dev/pause

go 1.24
