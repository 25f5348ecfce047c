"""Kubernetes: manifests of JobSet and KubeRay, sent by kubectl. It may import its neighbours in `cluster.submit`."""
