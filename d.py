import subprocess,re,collections,sys
def load(f):
    out=subprocess.run(['readelf','-sW','--demangle',f],capture_output=True,text=True).stdout
    d=collections.Counter()
    for l in out.splitlines():
        p=l.split(None,7)
        if len(p)<8 or p[3] not in('FUNC','OBJECT'):continue
        n=re.sub(r'(::h[0-9a-f]{16}|\.llvm\.\d+|\[[0-9a-f]{16}\])','',p[7])
        sz=int(p[2],0)
        d[n]+=sz
    return d
a,b=load(sys.argv[1]),load(sys.argv[2])
print(sum(a.values()),sum(b.values()))
r=[(b[k]-a[k],k) for k in set(a)|set(b) if a[k]!=b[k]]
r.sort(key=lambda x:-abs(x[0]))
for x,k in r[:70]:print(x,k[:160])
