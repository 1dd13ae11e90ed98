"""The command lines whose output is compared, spelled as today's commands have it.

Each runs in a folder with the tables of ``inputs``; ``OUT`` is a folder of its own. Those below ``EARLIER_OUTPUTS``
stand in later lines for files that an earlier line wrote.
"""

from __future__ import annotations

SAMPLE = "data/detections.parquet data/truths.parquet"
BOTH = "detections.parquet truths.parquet"
METRICS = "iou,iof,ios,giou,diou,ciou,eiou,l1,smooth_l1"
LOSSES = "iou_loss,giou_loss,diou_loss,ciou_loss,eiou_loss,l1_loss,smooth_l1_loss,huber_loss"
RULES = ("atss", "detectron2", "fastbox", "keras-hub", "mmdet", "ssd", "tf", "torchvision")
PRESETS = {
    "atss": "640x640",
    "detectron2-fpn": "640x512",
    "detectron2-retinanet": "640x512",
    "faster-rcnn-fpn": "640x512",
    "mmdet-fpn": "640x512",
    "mmdet-retinanet": "640x512",
    "retinanet": "512x640",
    "rpn-c4": "640x640",
    "ssd300": "300x300",
    "ssd512": "512x512",
    "yolof": "640x640",
    "yolov3": "640x640",
}
# Lines whose file another one reads: what is converted there and back, and pairs with both boxes.
EARLIER_OUTPUTS = {
    "best": "pairs.best/best.parquet",
    "fitted": "anchors/anchors.json",
    "coco": "convert.to.coco/made.json",
    "results": "convert.to.coco-results/made.json",
    "yolo": "convert.to.yolo/made",
    "voc": "convert.to.voc/made",
    "kitti": "convert.to.kitti/made",
    "open-images": "convert.to.open-images/made.csv",
    "crowdhuman": "convert.to.crowdhuman/made.odgt",
    "huggingface": "convert.to.huggingface/made.parquet",
}
PAIRS = {
    "pairs": f"pairs {SAMPLE} --metrics iou,giou,smooth_l1 -o OUT/pairs.parquet",
    "pairs.best": f"pairs {BOTH} --best --boxes --metrics {METRICS} -o OUT/best.parquet",
    "pairs.all": f"pairs {BOTH} --all --metrics {METRICS} --beta 3.5 -o OUT/all.parquet",
    "pairs.distance": f"pairs {BOTH} --metrics l1,iou --threshold 25 -o OUT/pairs.parquet",
    "pairs.classes": f"pairs {BOTH} --per-class --class-column category_id -o OUT/pairs.parquet --keep score,run",
    "pairs.within": "pairs truths.parquet --threshold 0.8 --metrics giou,iou -o OUT/pairs.parquet",
    "pairs.text": "pairs text-detections.parquet text.parquet --per-class -o OUT/pairs.parquet --keep score",
    "pairs.formats": "pairs listed.parquet truths.parquet --box bbox --format xyxy --truth-box xmin,ymin,xmax,ymax",
    "pairs.centres": "pairs centres.parquet --box cx,cy,w,h --format cxcywh --threshold 0.9 -o OUT/pairs.parquet",
    "pairs.unsorted": "pairs unsorted.parquet truths.parquet -o OUT/pairs.parquet",
    "pairs.nothing": "pairs nothing.parquet truths.parquet -o OUT/pairs.parquet",
    "pairs.fragments": f"pairs {BOTH} -o OUT/parts/ --fragment-rows 300 --metrics iou,ciou",
    "pairs.fragments.best": f"pairs {BOTH} --best -o OUT/parts/ --fragment-rows 500 --boxes",
}
MEASURE = {
    "measure": f"measure data/pairs.parquet --metrics {METRICS} -o OUT/measured.parquet",
    "measure.losses": f"measure data/pairs.parquet --metrics {LOSSES} --grad -o OUT/measured.parquet",
    "measure.options": f"measure {{best}} --metrics {METRICS},smooth_l1_loss,huber_loss --beta 0.3 --delta 7 --grad",
    "measure.flat": f"measure flat.parquet --pred p0,p1,p2,p3 --target t0,t1,t2,t3 --metrics {LOSSES} --grad"
    " --keep name -o OUT/measured.parquet",
    "measure.fragments": "measure data/pairs.parquet --fragment-rows 300 --metrics iou,l1 -o OUT/parts/",
    **{
        f"measure.{form}": f"measure flat.parquet --pred p0,p1,p2,p3 --target t0,t1,t2,t3 --format {form}"
        f" --metrics {METRICS} -o OUT/measured.parquet"
        for form in ("xywh", "cxcywh", "yxyx")
    },
}
SUPPRESSION = {
    "nms": "nms detections.parquet -o OUT/kept.parquet --iou-threshold 0.5",
    "nms.sample": "nms data/detections.parquet --min-score 0.3 -o OUT/kept.parquet --keep score",
    "nms.agnostic": "nms detections.parquet -o OUT/kept.parquet --iou-threshold 0.4 --class-agnostic",
    "nms.text": "nms text-detections.parquet -o OUT/kept.parquet --per-class",
    "nms.listed": "nms listed.parquet --box bbox --format xyxy -o OUT/kept.parquet",
    "nms.soft": "nms detections.parquet -o OUT/kept.parquet --method soft-linear",
    "nms.gaussian": "nms detections.parquet -o OUT/kept.parquet --method soft-gaussian --sigma 0.3 --min-score 0.1",
    "nms.fragments": "nms detections.parquet -o OUT/parts/ --fragment-rows 400",
    "fuse": "fuse good.parquet other.parquet -o OUT/fused.parquet --weights 2,1",
    "fuse.agnostic": "fuse detections.parquet other.parquet -o OUT/fused.parquet --class-agnostic --iou-threshold 0.4",
    **{
        f"fuse.{kind}": f"fuse good.parquet other.parquet -o OUT/fused.parquet --conf-type {kind} --min-score 0.2"
        for kind in ("avg", "max", "box_and_model_avg", "absent_model_aware_avg")
    },
}
ASSIGN = {
    **{
        f"assign.{preset}": f"assign truths.parquet --anchors {preset} --size {size} -o OUT/assigned.parquet"
        for preset, size in PRESETS.items()
    },
    **{
        f"assign.rule.{rule}": f"assign truths.parquet --anchors retinanet --rule {rule} --size 640x480"
        " -o OUT/assigned.parquet --class-column category_id"
        for rule in RULES
    },
    "assign.ignore": "assign truths.parquet --anchors retinanet --size 640x480 --ignore-column iscrowd"
    " -o OUT/assigned.parquet",
    "assign.sample": "assign data/truths.parquet --anchors retinanet --resize shorter=800,longer=1333"
    " --class-column category_id --ignore-column iscrowd",
    "assign.resize": "assign truths.parquet --anchors ssd300 --resize 300x200 -o OUT/assigned.parquet",
    "assign.levels": "assign truths.parquet --anchors yolov3 --size 640x640 --rule fastbox --high 0.6 --low 0.3",
    "assign.text": "assign text.parquet --anchors retinanet --size 640x640 --class-column category_id",
    "assign.points": "assign clean.parquet --points yolov8,yolov8-p2,yolox,fcos --size 320,640 --anchors retinanet"
    " --reach 15 --starved OUT/starved.parquet",
    "assign.fragments": "assign truths.parquet --anchors ssd300 --size 300x300 -o OUT/parts/ --fragment-rows 300",
}
EVALUATE = {
    "evaluate.sample": f"evaluate {SAMPLE} -o OUT/matched.parquet --bootstrap 20",
    "evaluate": f"evaluate {BOTH} -o OUT/matched.parquet",
    "evaluate.models": f"evaluate {BOTH} --by run --bootstrap 10 --seed 3 -o OUT/matched.parquet",
    "evaluate.agnostic": f"evaluate {BOTH} --class-agnostic --iou-thresholds 0.3,0.6 --max-dets 5,50",
    "evaluate.areas": f"evaluate {BOTH} --areas all:0-1e10,tiny:0-400,rest:400-1e10 -o OUT/matched.parquet",
    "evaluate.columns": f"evaluate {BOTH} --crowd-column difficult --ignore-column iscrowd --area-column height",
    "evaluate.text": "evaluate text-detections.parquet text.parquet -o OUT/matched.parquet",
    "evaluate.names": f"evaluate {BOTH} --names names.txt",
    "evaluate.formats": "evaluate listed.parquet centres.parquet --box bbox --format xyxy --truth-box cx,cy,w,h"
    " --truth-format cxcywh -o OUT/matched.parquet",
    "evaluate.unsorted": "evaluate unsorted.parquet shuffled.parquet",
    "evaluate.nothing": "evaluate nothing.parquet truths.parquet",
    "evaluate.fragments": f"evaluate {BOTH} --by run --fragment-rows 400 -o OUT/parts/",
    "suspects": f"suspects {BOTH} --min-suspicion 0 -o OUT/suspects.parquet",
    "suspects.models": f"suspects {BOTH} --by run --min-score 0.2 --min-suspicion 0 -o OUT/suspects.parquet",
    "suspects.fragments": f"suspects {BOTH} --by run --fragment-rows 400 --min-suspicion 0 -o OUT/parts/",
    "evaluate.coco": "evaluate {results} {coco} -o OUT/matched.parquet",
}
INSPECT = {
    "inspect": "inspect truths.parquet -o OUT/problems.parquet --fix OUT/fixed.parquet",
    "inspect.sample": "inspect data/truths.parquet -o OUT/problems.parquet",
    "inspect.detections": "inspect detections.parquet -o OUT/problems.parquet",
    "inspect.images": "inspect truths.parquet --images-table images.parquet -o OUT/problems.parquet",
    "inspect.limits": "inspect truths.parquet --tolerance 3 --sub-pixel 4 --max-aspect 8 --near 0.8 --huge 0.1"
    " --class-size 2 -o OUT/problems.parquet",
    "inspect.columns": "inspect truths.parquet --size-columns height,width --id-column image_id --class-column iscrowd"
    " --class-size 0 -o OUT/problems.parquet",
    "inspect.text": "inspect text.parquet -o OUT/problems.parquet --fix OUT/fixed.parquet --changes OUT/log.parquet",
    "inspect.whole": "inspect whole.parquet --fix OUT/fixed.parquet",
    "inspect.halves": "inspect halves.parquet --fix OUT/fixed.parquet",
    "inspect.centres": "inspect centres.parquet --box cx,cy,w,h --format cxcywh --fix OUT/fixed.parquet",
    "inspect.fragments": "inspect truths.parquet -o OUT/parts/ --fragment-rows 300",
    "inspect.coco": "inspect {coco} --fix OUT/fixed.parquet",
}
ANCHORS = {
    "anchors": "anchors clean.parquet --count 6 --resize 320 -o OUT/anchors.json",
    "anchors.size": "anchors data/truths.parquet --size 640x480 --resize shorter=800,longer=1333 --levels 3 --seed 4",
    "anchors.columns": "anchors truths.parquet --size-columns width,height --resize 300x300 --min-side 20",
    "anchors.against": "anchors clean.parquet --against faster-rcnn-fpn --against yolov5 --count 4 --resize 640"
    " --size 640x480",
    "assign.fitted": "assign clean.parquet --anchors {fitted} --size 320x320 -o OUT/assigned.parquet",
}
EXPERIMENTS = {
    "regression": "experiment regression --points 50 --steps 40 -o OUT/errors.parquet",
    "regression.some": "experiment regression --points 30 --steps 60 --losses giou,smooth_l1 --seed 9",
    "disagreement": "experiment disagreement {best}",
    "disagreement.flat": "experiment disagreement flat.parquet --pred p0,p1,p2,p3 --target t0,t1,t2,t3 --format xyxy"
    " --beta 2",
    "disagreement.sample": "experiment disagreement data/pairs.parquet",
}
TABLES = {
    "sort": "sort unsorted.parquet -o OUT/sorted.parquet",
    "sort.memory": "sort shuffled.parquet -o OUT/sorted.parquet --memory 64MB",
    "sort.column": "sort truths.parquet -o OUT/sorted.parquet --image-column category_id",
    "plan": f"plan {BOTH} --fragment-rows 300",
    "plan.unsorted": "plan unsorted.parquet",
    "synthesize": "synthesize OUT/truths.parquet --count 30 --detections OUT/d.parquet --pairs OUT/p.parquet --seed 3",
    "synthesize.again": "synthesize OUT/truths.parquet --count 150",
}
CONVERT = {
    **{
        f"convert.to.{name}": f"convert {source}.parquet OUT/made{ending} --to {name}"
        for name, source, ending in (
            ("coco", "clean", ".json"),
            ("coco-results", "good", ".json"),
            ("yolo", "clean", ""),
            ("voc", "text", ""),
            ("kitti", "text", ""),
            ("open-images", "text", ".csv"),
            ("crowdhuman", "text", ".odgt"),
            ("huggingface", "clean", ".parquet"),
        )
    },
    **{
        f"convert.from.{name}": f"convert {{{name}}} OUT/boxes.parquet --from {name}{more}"
        for name, more in (
            ("coco", " --write-images OUT/images.parquet"),
            ("coco-results", ""),
            ("yolo", " --sizes images.parquet"),
            ("voc", ""),
            ("kitti", ""),
            ("open-images", " --sizes frames.parquet"),
            ("crowdhuman", ""),
            ("huggingface", ""),
        )
    },
    "convert.form.xywh": "convert clean.parquet OUT/boxes.parquet --output-format xywh",
    "convert.form.cxcywh": "convert clean.parquet OUT/boxes.parquet --output-format cxcywh --dtype float32",
    "convert.form.xyxy": "convert text.parquet OUT/boxes.parquet --output-format xyxy --dtype float32",
    "convert.form.read": "convert centres.parquet OUT/boxes.parquet --box cx,cy,w,h --format cxcywh"
    " --output-format xyxy",
    "convert.yolo.digits": "convert text.parquet OUT/made --to yolo --digits 3 --renumber",
    "convert.voc.one": "convert text.parquet OUT/made --to voc --one-based",
    "convert.voc.back": "convert {voc} OUT/boxes.parquet --from voc --one-based --output-format xyxy",
    "convert.coco.yolo": "convert {coco} OUT/made --to yolo",
}
# Lines that end with a message: their exit code is the figure.
REFUSED = {
    "refused.column": "pairs detections.parquet truths.parquet --box nowhere",
    "refused.file": "nms nowhere.parquet",
    "refused.option": "nms detections.parquet --nowhere",
    "refused.metric": "measure data/pairs.parquet --metrics nowhere",
    "refused.inverted": "convert truths.parquet OUT/made --to kitti",
    "refused.fragments": "pairs unsorted.parquet truths.parquet -o OUT/parts/ --fragment-rows 300",
}
# Lines that run in processes of their own.
PROCESSES = {
    "process.pairs": f"pairs {SAMPLE} -o OUT/pairs.parquet",
    "process.evaluate": f"evaluate {SAMPLE} --class-agnostic",
    "process.pipe": "measure data/pairs.parquet --metrics iou",
}
LINES: dict[str, str] = {
    **PAIRS,
    **MEASURE,
    **SUPPRESSION,
    **ANCHORS,
    **ASSIGN,
    **CONVERT,
    **EVALUATE,
    **INSPECT,
    **EXPERIMENTS,
    **TABLES,
    **REFUSED,
    **PROCESSES,
}
