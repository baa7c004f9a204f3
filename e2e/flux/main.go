// Says what Flux's kustomize-controller would say of an object: `flux-health KUSTOMIZATION.yaml < OBJECT.json` prints its status, such as
// `InProgress`, by the health check expressions that the Kustomization has for its kind, else by the rules of kstatus. A Kustomization
// with a field that Flux does not know is refused.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func main() {
	result, err := judge(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(result)
}

func judge(path string) (status.Status, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var kustomization kustomizev1.Kustomization
	if err := yaml.UnmarshalStrict(text, &kustomization); err != nil {
		return "", err
	}
	var object unstructured.Unstructured
	if err := json.NewDecoder(os.Stdin).Decode(&object); err != nil {
		return "", err
	}
	for _, check := range kustomization.Spec.HealthCheckExprs {
		if check.APIVersion != object.GetAPIVersion() || check.Kind != object.GetKind() {
			continue
		}
		evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
		if err != nil {
			return "", err
		}
		result, err := evaluator.Evaluate(context.Background(), &object)
		if err != nil {
			// Such as of a field that is not there: Flux waits on.
			return status.UnknownStatus, nil
		}
		return result.Status, nil
	}
	result, err := status.Compute(&object)
	if err != nil {
		return "", err
	}
	return result.Status, nil
}
