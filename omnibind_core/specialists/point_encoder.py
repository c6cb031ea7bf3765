import torch
from torch import Tensor
SAMPLES=1024
_MOST=4096
def even(points: Tensor, count: int = SAMPLES) -> Tensor:
    n=len(points)
    if n>_MOST:
        points=points[torch.randperm(n,generator=torch.Generator().manual_seed(0))[:_MOST]]
    return points[farthest(points[:,:3],count)] if len(points)>=count else points
def farthest(xyz: Tensor, count: int) -> Tensor:
    x,y,z=xyz.T.contiguous()
    d=torch.full_like(x,1e10); c=0; out=[0]
    for _ in range(count-1):
        torch.minimum(d,(x-x[c])**2+(y-y[c])**2+(z-z[c])**2,out=d)
        c=int(d.argmax()); out.append(c)
    return torch.tensor(out)
