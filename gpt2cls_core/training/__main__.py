from __future__ import annotations
import argparse
from .pretrain import PretrainOptions, pretrain
p=argparse.ArgumentParser(); p.add_argument("cmd"); p.add_argument("--data",nargs="+"); p.add_argument("--probe-data"); p.add_argument("--output"); p.add_argument("--tokens",type=float,default=24e6); p.add_argument("--limit",type=int); p.add_argument("--compile",action="store_true"); p.add_argument("--batch-size",type=int,default=16)
a=vars(p.parse_args()); a.pop("cmd"); a["data"]=tuple(a["data"])
pretrain(PretrainOptions(**a))
