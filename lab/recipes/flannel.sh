# flanneld. Its Tencent cloud back end imports an SDK that the module proxy does not have; a stub stands in for it,
# with the few names it uses and a client that refuses. No node of ours runs in that cloud.
. "$RECIPES/lib.sh"
sdk=github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud
mkdir -p gomod stub/{common/errors,vpc/v20170312}
echo "module $sdk/common" >stub/common/go.mod
echo "module $sdk/vpc" >stub/vpc/go.mod
cat >stub/common/common.go <<'GO'
package common

func StringPtr(v string) *string { return &v }

func BoolPtr(v bool) *bool { return &v }

func StringPtrs(values []string) []*string {
	pointers := make([]*string, len(values))
	for i := range values {
		pointers[i] = &values[i]
	}
	return pointers
}
GO
cat >stub/common/errors/errors.go <<'GO'
package errors

type TencentCloudSDKError struct{}

func (*TencentCloudSDKError) Error() string { return "built without the Tencent cloud SDK" }
GO
cat >stub/vpc/v20170312/vpc.go <<'GO'
package v20170312

import "errors"

var errNoSDK = errors.New("built without the Tencent cloud SDK")

type (
	Filter struct {
		Name   *string
		Values []*string
	}
	Route struct {
		RouteId                                                 *uint64
		DestinationCidrBlock, GatewayType, GatewayId, RouteType *string
		Enabled                                                 *bool
	}
	RouteTable struct {
		RouteTableId *string
		RouteSet     []*Route
	}
	DescribeRouteTablesRequest  struct{ Filters []*Filter }
	DescribeRouteTablesResponse struct {
		Response *struct{ RouteTableSet []*RouteTable }
	}
	RoutesRequest struct {
		RouteTableId *string
		Routes       []*Route
	}
	Client struct{}
)

func NewClientWithSecretId(id, key, region string) (*Client, error)    { return &Client{}, errNoSDK }
func NewDescribeRouteTablesRequest() *DescribeRouteTablesRequest        { return &DescribeRouteTablesRequest{} }
func NewDeleteRoutesRequest() *RoutesRequest                            { return &RoutesRequest{} }
func NewCreateRoutesRequest() *RoutesRequest                            { return &RoutesRequest{} }
func (*Client) DeleteRoutes(*RoutesRequest) (struct{}, error)           { return struct{}{}, errNoSDK }
func (*Client) CreateRoutes(*RoutesRequest) (struct{}, error)           { return struct{}{}, errNoSDK }
func (*Client) DescribeRouteTables(*DescribeRouteTablesRequest) (*DescribeRouteTablesResponse, error) {
	return nil, errNoSDK
}
GO
(
    cd gomod
    go mod init lab.test/build
    go mod edit -replace "$sdk/common=../stub/common" -replace "$sdk/vpc=../stub/vpc"
)
# With cgo for its udp back end; static all the same.
CGO_ENABLED=1 GOFLAGS="$GOFLAGS -tags=netgo,osusergo" go_program "github.com/flannel-io/flannel@$VERSION" \
    github.com/flannel-io/flannel "$OUT/flanneld" \
    "-X github.com/flannel-io/flannel/pkg/version.Version=$VERSION -extldflags=-static"
