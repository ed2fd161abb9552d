"""Procedurally drawn frames that look like capsule endoscopy, healthy or bleeding, with exact masks.

Everything is drawn in arithmetic from a seed: nothing is downloaded and no patient is involved. A bleeding frame is
the healthy frame of the same seed with blood laid on it, so the two differ under the blood and nowhere else. The
healthy frames differ among themselves in hue, brightness, lumen, sharpness and noise by more than a bleed changes
any of these, so that no single number of an image (its mean, its redness) tells the two apart.

Shapes: a *plane* is a float32 array (size, size); a *picture* is a float32 array (size, size, 3), RGB, 1.0 = white.
Lengths are relative: the frame spans -1 to 1 on both axes, so a seed draws the same scene at every size.
"""

from __future__ import annotations

import cv2
import numpy as np

Plane = np.ndarray
Picture = np.ndarray

# The streams are kept apart so that drawing blood takes nothing from the numbers the background is drawn from.
_SCENE, _GRAIN, _BLOOD = 0, 1, 2

_FIELD_RADIUS = 1.12  # the round field of view: the corners of the frame lie outside it and stay black
_BLOOD_REACH = 0.8  # beyond this radius blood thins out, so that it stays where there is light to see it
_BLOOD_AREA = (0.026, 0.09)  # share of the frame with opacity above one half


def draw(seed: int, bleeding: bool, size: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Draw one frame.

    Args:
        seed: Any non-negative integer; the same seed gives the same frame on every call.
        bleeding: Whether to lay blood on the scene.
        size: Side of the square frame in pixels.

    Returns:
        The frame, uint8 (size, size, 3) RGB, and the mask, bool (size, size): where blood covers more than half of
        what lies beneath. The mask of a healthy frame is all False.
    """
    rng = np.random.default_rng((seed, _SCENE))
    x, y = _axes(size)
    centre = rng.uniform(-0.13, 0.13, 2)
    light = _illumination(rng, x, y) * _folds(rng, x, y, centre)
    tissue = _mucosa(rng, size) * _lumen(rng, x, y, centre)
    tissue = _vessels(rng, tissue)
    wet = _highlights(rng, size)
    mask = np.zeros((size, size), dtype=bool)
    if bleeding:
        blood_rng = np.random.default_rng((seed, _BLOOD))
        opacity = _blood_opacity(blood_rng, x, y)
        tissue += opacity[..., None] * (_blood_colour(blood_rng, tissue) - tissue)
        mask = opacity > 0.5
    picture = tissue * light[..., None]
    # Highlights lie on top of the blood, as on any wet surface, and take the colour of the lamp.
    picture += wet[..., None] * (_rgb(1.0, 0.97, 0.9) - picture)
    picture = picture * _field_of_view(x, y)[..., None] + _grain(np.random.default_rng((seed, _GRAIN)), size)
    return np.clip(picture * 255.0 + 0.5, 0, 255).astype(np.uint8), mask


def _rgb(red: float, green: float, blue: float) -> np.ndarray:
    """One value for each channel, float32 (3,)."""
    return np.array([red, green, blue], dtype=np.float32)


def _axes(size: int) -> tuple[Plane, Plane]:
    """Horizontal and vertical coordinates of the pixel centres, planes in -1..1."""
    line = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(2.0 / size) - np.float32(1.0)
    x, y = np.meshgrid(line, line)
    return x, y


def _smooth_field(rng: np.random.Generator, size: int, cells: int) -> Plane:
    """Smooth random plane of about unit spread, with `cells` independent values to a side."""
    grid = rng.standard_normal((cells, cells)).astype(np.float32)
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)


def _smoothstep(plane: Plane, low: float, high: float) -> Plane:
    """0 below `low`, 1 above `high`, a smooth ramp between."""
    t = np.clip((plane - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _mucosa(rng: np.random.Generator, size: int) -> Picture:
    """Colour of the wall before light falls on it, a picture of about 0.1..1.

    The hue wanders from frame to frame between pale orange and deep pink, and some frames are stained by bile: the
    redness of a whole frame therefore says little about blood.
    """
    redness = rng.uniform(0.0, 1.0)
    pale, red = _rgb(0.90, 0.66, 0.46), _rgb(0.86, 0.34, 0.25)
    hue = pale + (red - pale) * np.float32(redness) + rng.normal(0.0, 0.015, 3).astype(np.float32)
    # Patches of erythema are wide and faint where blood is narrow and dense.
    patches = _smooth_field(rng, size, 3) * np.float32(rng.uniform(0.02, 0.10))
    texture = _smooth_field(rng, size, 14) * np.float32(rng.uniform(0.003, 0.012))
    depth = (patches + texture)[..., None] * _rgb(0.25, 1.0, 0.9)
    colour = hue * np.exp(-depth)
    if rng.uniform() < 0.35:
        stain = _smoothstep(_smooth_field(rng, size, 3), -1.0, 1.5) * np.float32(rng.uniform(0.2, 0.6))
        colour += stain[..., None] * (_rgb(0.66, 0.58, 0.20) - colour)
    return colour.astype(np.float32)


def _folds(rng: np.random.Generator, x: Plane, y: Plane, centre: np.ndarray) -> Plane:
    """Shading of the rings of the gut wall around the lumen, a plane of about 0.75..1.25."""
    size = len(x)
    warp = _smooth_field(rng, size, 4) * np.float32(0.06)
    distance = np.hypot(x - np.float32(centre[0]), y - np.float32(centre[1])) + warp
    waves = np.cos(distance * np.float32(rng.uniform(5.0, 9.0)) + np.float32(rng.uniform(0, 2 * np.pi)))
    relief = _smooth_field(rng, size, 4) * np.float32(0.05)
    return 1.0 + waves * np.float32(rng.uniform(0.04, 0.11)) + relief


def _lumen(rng: np.random.Generator, x: Plane, y: Plane, centre: np.ndarray) -> Picture:
    """Share of the light that comes back out of the hollow of the gut, a picture in 0..1.

    Light bounces off the wall on its way back, and each bounce takes more green and blue than red, so a deep lumen
    is dark and red at once: to the eye of a redness score it passes for blood.
    """
    angle, squeeze = rng.uniform(0, np.pi), rng.uniform(0.8, 1.0)
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    u = np.float32(np.cos(angle)) * dx + np.float32(np.sin(angle)) * dy
    v = (np.float32(np.cos(angle)) * dy - np.float32(np.sin(angle)) * dx) / np.float32(squeeze)
    warp = 1.0 + _smooth_field(rng, len(x), 4) * np.float32(0.10)
    radius = np.float32(rng.uniform(0.27, 0.44))
    hollow = np.exp(-((u * u + v * v) * warp / (radius * radius)))
    depth = np.float32(rng.uniform(0.7, 1.7)) * hollow
    return np.exp(-depth[..., None] * _rgb(1.0, 2.25, 2.35))


def _illumination(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    """Light of the capsule's own lamp, brightest off centre and falling towards the rim, a plane of 0.2..1.1."""
    gain = rng.uniform(0.74, 1.1)
    cx, cy = rng.uniform(-0.3, 0.3, 2)
    fall = rng.uniform(0.15, 0.4)
    return np.float32(gain) * np.exp(-np.float32(fall) * ((x - np.float32(cx)) ** 2 + (y - np.float32(cy)) ** 2))


def _field_of_view(x: Plane, y: Plane) -> Plane:
    """1 inside the round field of view, 0 in the corners."""
    return 1.0 - _smoothstep(np.hypot(x, y), _FIELD_RADIUS - 0.14, _FIELD_RADIUS)


def _vessels(rng: np.random.Generator, tissue: Picture) -> Picture:
    """The tissue with a few thin, faint, wandering vessels: as red as thin blood, but much finer than a bleed."""
    size, steps = len(tissue), 12
    lines = np.zeros((size, size), dtype=np.uint8)
    for _ in range(rng.integers(0, 6)):
        turns = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0.0, 0.35, steps))
        path = rng.uniform(-0.8, 0.8, 2) + np.cumsum(np.stack([np.cos(turns), np.sin(turns)], 1) * 0.06, 0)
        points = np.round((path + 1.0) * (size / 2) * 16).astype(np.int32)
        cv2.polylines(lines, [points], False, 255, 1, cv2.LINE_AA, 4)
    blurred = cv2.GaussianBlur(lines, (0, 0), size / 160).astype(np.float32) / 255.0
    depth = blurred * np.float32(rng.uniform(0.1, 0.5))
    return tissue * np.exp(-depth[..., None] * _rgb(0.3, 1.0, 0.9))


def _highlights(rng: np.random.Generator, size: int) -> Plane:
    """Opacity of the lamp's reflections and of the thin rims of bubbles, a plane in 0..0.7."""
    spots = np.zeros((size, size), dtype=np.uint8)
    for _ in range(rng.integers(1, 6)):
        x, y = np.round(rng.uniform(0.18, 0.82, 2) * size * 16).astype(int)
        long, wide = np.round(rng.uniform(0.004, 0.011, 2) * size * 16).astype(int)
        angle, strength = float(rng.uniform(0, 180)), int(rng.integers(80, 160))
        outline = np.array(cv2.ellipse2Poly((int(x), int(y)), (int(long), int(wide)), int(angle), 0, 360, 30))
        cv2.fillPoly(spots, [outline], strength, cv2.LINE_AA, 4)
    for _ in range(rng.integers(0, 3)):
        x, y = np.round(rng.uniform(0.2, 0.8, 2) * size * 16).astype(int)
        radius = int(rng.uniform(0.025, 0.045) * size * 16)
        rim = np.array(cv2.ellipse2Poly((int(x), int(y)), (radius, radius), 0, 0, 360, 20))
        cv2.polylines(spots, [rim], True, int(rng.integers(25, 60)), 1, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(spots, (0, 0), size / 190).astype(np.float32) / 255.0


def _blood_opacity(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    """Opacity of one to three pools or streaks of blood, a plane in 0..0.97 with soft, ragged edges."""
    size = len(x)
    height = np.full((size, size), -np.inf, dtype=np.float32)
    for _ in range(rng.integers(1, 4)):
        distance, bearing, angle = rng.uniform(0.5, 0.76), rng.uniform(0, 2 * np.pi), rng.uniform(0, np.pi)
        dx = x - np.float32(distance * np.cos(bearing))
        dy = y - np.float32(distance * np.sin(bearing))
        u = np.float32(np.cos(angle)) * dx + np.float32(np.sin(angle)) * dy
        v = np.float32(np.cos(angle)) * dy - np.float32(np.sin(angle)) * dx
        v = v + np.float32(rng.uniform(-0.8, 0.8)) * u * u  # a bend, like a streak's that runs along a fold
        stretch = np.float32(rng.uniform(1.0, 3.0))
        height = np.maximum(height, np.float32(rng.uniform(-0.1, 0.0)) - np.hypot(u / stretch, v * stretch**0.3))
    height += _smooth_field(rng, size, 7) * np.float32(0.05) + _smooth_field(rng, size, 13) * np.float32(0.02)
    height -= 2.0 * np.maximum(np.hypot(x, y) - _BLOOD_REACH, 0.0)
    # The level is found by rank, so the area is the one drawn whatever the shape.
    share = np.exp(rng.uniform(*np.log(_BLOOD_AREA)))
    level = np.quantile(height, 1.0 - share)
    dense, soft = rng.uniform(0.85, 0.97), rng.uniform(0.04, 0.065)
    return np.float32(dense) * _smoothstep(height, float(level) - soft, float(level) + soft * 0.9)


def _blood_colour(rng: np.random.Generator, tissue: Picture) -> Picture:
    """Colour of the blood, fresh to dark, a picture; a little of the relief beneath still shows."""
    fresh, dark = _rgb(0.58, 0.075, 0.06), _rgb(0.36, 0.04, 0.035)
    colour = fresh + (dark - fresh) * np.float32(rng.uniform(0.0, 1.0))
    mottle = np.exp(_smooth_field(rng, len(tissue), 9) * np.float32(0.08))
    return mottle[..., None] * colour


def _grain(rng: np.random.Generator, size: int) -> Picture:
    """Sensor noise, a picture about zero; its strength and its coarseness differ between frames."""
    strength = np.exp(rng.uniform(np.log(0.003), np.log(0.020)))
    noise = rng.standard_normal((size, size, 3), dtype=np.float32)
    blur = rng.uniform(0.0, 0.8)
    if blur > 0.3:  # below this the kernel is a single pixel
        noise = cv2.GaussianBlur(noise, (0, 0), blur).astype(np.float32)
    return noise * np.float32(strength)
