"""Class names of the 2-D MedMNIST sets, in the publisher's spelling and order.

Source: MedMNIST v2 (Yang et al., Scientific Data 2023), as the package ``medmnist`` 3.0 gives them.
"""

from __future__ import annotations

#: What follows the name in an archive of more than 28 px: ``pneumoniamnist_64``.
SIZES = ("64", "128", "224")

_ORGANS = (
    "bladder",
    "femur-left",
    "femur-right",
    "heart",
    "kidney-left",
    "kidney-right",
    "liver",
    "lung-left",
    "lung-right",
    "pancreas",
    "spleen",
)

#: Name of each class by its number. ChestMNIST's are findings, of which an image may have several or none.
LABELS: dict[str, tuple[str, ...]] = {
    "pathmnist": (
        "adipose",
        "background",
        "debris",
        "lymphocytes",
        "mucus",
        "smooth muscle",
        "normal colon mucosa",
        "cancer-associated stroma",
        "colorectal adenocarcinoma epithelium",
    ),
    "chestmnist": (
        "atelectasis",
        "cardiomegaly",
        "effusion",
        "infiltration",
        "mass",
        "nodule",
        "pneumonia",
        "pneumothorax",
        "consolidation",
        "edema",
        "emphysema",
        "fibrosis",
        "pleural",
        "hernia",
    ),
    "dermamnist": (
        "actinic keratoses and intraepithelial carcinoma",
        "basal cell carcinoma",
        "benign keratosis-like lesions",
        "dermatofibroma",
        "melanoma",
        "melanocytic nevi",
        "vascular lesions",
    ),
    "octmnist": (
        "choroidal neovascularization",
        "diabetic macular edema",
        "drusen",
        "normal",
    ),
    "pneumoniamnist": (
        "normal",
        "pneumonia",
    ),
    "retinamnist": (
        "0",
        "1",
        "2",
        "3",
        "4",
    ),
    "breastmnist": (
        "malignant",
        "normal, benign",
    ),
    "bloodmnist": (
        "basophil",
        "eosinophil",
        "erythroblast",
        "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)",
        "lymphocyte",
        "monocyte",
        "neutrophil",
        "platelet",
    ),
    "tissuemnist": (
        "Collecting Duct, Connecting Tubule",
        "Distal Convoluted Tubule",
        "Glomerular endothelial cells",
        "Interstitial endothelial cells",
        "Leukocytes",
        "Podocytes",
        "Proximal Tubule Segments",
        "Thick Ascending Limb",
    ),
    "organamnist": _ORGANS,
    "organcmnist": _ORGANS,
    "organsmnist": _ORGANS,
}

#: The healthy class of the sets that have one: what ``normal`` is by default. ChestMNIST's is "no finding".
HEALTHY = {
    "chestmnist": "normal",
    "octmnist": "normal",
    "pneumoniamnist": "normal",
    "retinamnist": "0",
    "breastmnist": "normal, benign",
}
