"""Ray intersections of the four solids, each resting on the floor at (0, 0), in its own frame.

Every function takes origins [N, 3] or [3] and unit directions [N, 3] and the solid's radius in world units, and returns
the distance to the first hit [N] (inf where the ray misses) and the outward normal there [N, 3].
"""

import numpy as np

CUBE_HALF = 0.80  # half edge, in radii
CYLINDER_RADIUS, CYLINDER_HEIGHT = 0.76, 1.65
CONE_RADIUS, CONE_HEIGHT = 0.95, 1.95

HEIGHT = {"sphere": 2.0, "cube": 2 * CUBE_HALF, "cylinder": CYLINDER_HEIGHT, "cone": CONE_HEIGHT}
WIDTH = {"sphere": 1.0, "cube": CUBE_HALF * 1.4, "cylinder": CYLINDER_RADIUS, "cone": CONE_RADIUS}


def _nearest(roots: list, normals: list) -> tuple:
    stacked = np.stack(roots)
    first = np.argmin(stacked, 0)
    picked = np.take_along_axis(np.stack(normals), first[None, :, None], 0)[0]
    return np.take_along_axis(stacked, first[None], 0)[0], picked


def sphere(origin, direction, radius):
    offset = origin - np.array([0, 0, radius], np.float32)
    b = (offset * direction).sum(-1)
    disc = b * b - (offset * offset).sum(-1) + radius * radius
    t = np.where(disc > 0, -b - np.sqrt(np.maximum(disc, 0)), np.inf)
    t = np.where(t > 1e-4, t, np.inf)
    point = offset + np.where(np.isfinite(t), t, 0)[:, None] * direction
    return t, point / radius


def cube(origin, direction, radius):
    """Slab method; the normal is that of the slab entered last."""
    half = CUBE_HALF * radius
    offset = origin - np.array([0, 0, half], np.float32)
    safe = np.where(np.abs(direction) < 1e-6, 1e-6, direction)
    low, high = (-half - offset) / safe, (half - offset) / safe
    enter, leave = np.minimum(low, high), np.maximum(low, high)
    t = enter.max(-1)
    t = np.where((t < leave.min(-1)) & (t > 1e-4), t, np.inf)
    normal = np.zeros_like(direction)
    axis = enter.argmax(-1)
    rows = np.arange(len(direction))
    normal[rows, axis] = -np.sign(direction[rows, axis])
    return t, normal


def _cap(origin, direction, height, radius, up):
    """The disc at the given height, facing up or down."""
    dz = np.where(np.abs(direction[:, 2]) < 1e-6, 1e-6, direction[:, 2])
    t = (height - origin[..., 2]) / dz
    x = origin[..., 0] + t * direction[:, 0]
    y = origin[..., 1] + t * direction[:, 1]
    t = np.where((x * x + y * y <= radius * radius) & (t > 1e-4), t, np.inf)
    return t, np.broadcast_to(np.array([0, 0, up], np.float32), direction.shape)


def cylinder(origin, direction, radius):
    r, height = CYLINDER_RADIUS * radius, CYLINDER_HEIGHT * radius
    ox, oy, oz = origin[..., 0], origin[..., 1], origin[..., 2]
    dx, dy, dz = direction.T
    a = np.maximum(dx * dx + dy * dy, 1e-9)
    b = ox * dx + oy * dy
    disc = b * b - a * (ox * ox + oy * oy - r * r)
    t = (-b - np.sqrt(np.maximum(disc, 0))) / a
    z = oz + t * dz
    t = np.where((disc > 0) & (t > 1e-4) & (z >= 0) & (z <= height), t, np.inf)
    safe = np.where(np.isfinite(t), t, 0)
    side = np.stack([(ox + safe * dx) / r, (oy + safe * dy) / r, np.zeros_like(dx)], -1)
    top, up = _cap(origin, direction, height, r, 1)
    return _nearest([t, top], [side, up])


def cone(origin, direction, radius):
    r, height = CONE_RADIUS * radius, CONE_HEIGHT * radius
    slope = r / height  # the cone is x² + y² = slope² (height − z)²
    ox, oy, oz = origin[..., 0], origin[..., 1], height - origin[..., 2]
    dx, dy, dz = direction[:, 0], direction[:, 1], -direction[:, 2]
    a = dx * dx + dy * dy - slope**2 * dz * dz
    a = np.where(np.abs(a) < 1e-6, 1e-6, a)
    b = ox * dx + oy * dy - slope**2 * oz * dz
    c = ox * ox + oy * oy - slope**2 * oz * oz
    disc = b * b - a * c
    root = np.sqrt(np.maximum(disc, 0))
    near, far = np.minimum((-b - root) / a, (-b + root) / a), np.maximum((-b - root) / a, (-b + root) / a)

    def valid(t):
        below = oz + t * dz
        return (disc > 0) & (t > 1e-4) & (below >= 0) & (below <= height)

    t = np.where(valid(near), near, np.where(valid(far), far, np.inf))
    safe = np.where(np.isfinite(t), t, 0)
    x, y, below = ox + safe * dx, oy + safe * dy, oz + safe * dz
    side = np.stack([x, y, slope**2 * below], -1)
    side /= np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-6)
    base, down = _cap(origin, direction, 0.0, r, -1)
    return _nearest([t, base], [side.astype(np.float32), down])


HIT = {"sphere": sphere, "cube": cube, "cylinder": cylinder, "cone": cone}
