# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The same recording gives the same results offline and through the node, byte for byte."""

import json
import math

from bags import make_header, make_image, scene, START_NS, write_jpegs
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
from rosbags.rosbag2 import Reader, StoragePlugin, Writer  # noqa: E402
from vl4ad_ros import cli  # noqa: E402
from vl4ad_ros.evaluation.bag_reader import CameraBag  # noqa: E402
from vl4ad_ros.evaluation.message_types import typestore  # noqa: E402
from vl4ad_ros.evaluation.offline import OfflineRun  # noqa: E402
from vl4ad_ros.evaluation.offline_bag import OfflineBag  # noqa: E402
from vl4ad_ros.evaluation.recorded_pose import TF  # noqa: E402
from vl4ad_ros.evaluation.result_reader import ResultReader  # noqa: E402
from vl4ad_ros.evaluation.vehicle_messages import camera_transform, optical_frame  # noqa: E402
from vl4ad_ros.inference.detector import Detector  # noqa: E402
from vl4ad_ros.settings import read_parameter_file, Settings  # noqa: E402

DETECTIONS, OBSTACLES = 'vision_msgs/msg/Detection2DArray', 'vision_msgs/msg/Detection3DArray'
CAMERA_INFO, ODOMETRY = 'sensor_msgs/msg/CameraInfo', 'nav_msgs/msg/Odometry'
FRAMES = 44
PARAMETERS = """
/**:
  ros__parameters:
    threshold: 0.3
    no_such_name: 1
/vl4ad_detector:
  ros__parameters:
    model: {backend: onnxruntime, threads: 1}
    threshold: 0.6
    region.min_area: 0.001
    alert:
      confirm_hits: 2
      confirm_window: 3
      name_floor: 0.1
    ground.max_range_m: 30.0
"""


def stamp_ns(index):
    """Return stamps at 10 Hz with everything that recordings do to them."""
    if index in (36, 37, 38):
        return 0
    if index in (40, 41):
        index = 40  # the same once more
    ns = START_NS + index * 10**8
    if index == 9:
        ns -= 250 * 10**6  # late
    if index >= 16:
        ns += 5 * 10**9  # a gap
    if index >= 26:
        ns -= 20 * 10**9  # a jump back
    return ns


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    """
    Return a bag whose things come and go; one record time is late by more than a gap.

    TF says that the camera is 1.4 m above the vehicle and looks down by 4 degrees.
    """
    path = tmp_path_factory.mktemp('bags') / 'odd'
    store = typestore()
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection(
            '/camera/image', 'sensor_msgs/msg/Image', typestore=store)
        infos = writer.add_connection('/camera/camera_info', CAMERA_INFO, typestore=store)
        motions = writer.add_connection('/odom', ODOMETRY, typestore=store)
        writer.write(writer.add_connection('/tf_static', TF, typestore=store), START_NS,
                     store.serialize_cdr(camera_transform(
                         make_header(START_NS), optical_frame(1.4, math.radians(4.0))), TF))
        for i in range(FRAMES):
            if i >= 5:  # recorded after the frame of its stamp
                writer.write(motions, START_NS + i * 10**8 + 2 * 10**7, store.serialize_cdr(
                    make_odometry(1.0 + 0.2 * i, stamp_ns(i) - 10**7), ODOMETRY))
            if i >= 2:  # the first one comes late, and the focal length changes once
                writer.write(infos, START_NS + i * 10**8 - 10**7, store.serialize_cdr(
                    make_info(150.0 if i < 30 else 180.0, stamp_ns(i)), CAMERA_INFO))
            image = scene(3 + i)[0].copy()
            if i % 7 == 3:
                image[40:80] = 128  # nothing in this frame
            if i > 20:
                image[10:30, 100:130] = (150, 40, 160)
            writer.write(connection, START_NS + i * 10**8 + (i > 37) * 4 * 10**9,
                         store.serialize_cdr(make_image(image, 'rgb8', stamp_ns(i)),
                                             'sensor_msgs/msg/Image'))
    return path


def make_info(focal, stamp):
    """Return the CameraInfo of the pictures of `scene`."""
    types = typestore().types
    k = np.array([focal, 0, 79.5, 0, focal, 34.5, 0, 0, 1.0])
    return types[CAMERA_INFO](
        make_header(stamp), 90, 160, 'plumb_bob', np.array([-0.1, 0.01, 0.001, 0, 0]), k,
        np.eye(3).ravel(), np.zeros(12), 0, 0,
        types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False))


def make_odometry(speed, stamp):
    """Return an Odometry of a vehicle that drives straight on."""
    types = typestore().types
    geometry = {name: types[f'geometry_msgs/msg/{name}'] for name in (
        'Point', 'Quaternion', 'Pose', 'PoseWithCovariance', 'Vector3', 'Twist',
        'TwistWithCovariance')}
    pose = geometry['Pose'](geometry['Point'](0.0, 0.0, 0.0),
                            geometry['Quaternion'](0.0, 0.0, 0.0, 1.0))
    still = geometry['Vector3'](0.0, 0.0, 0.0)
    twist = geometry['Twist'](geometry['Vector3'](speed, 0.0, 0.0), still)
    return types[ODOMETRY](
        make_header(max(stamp, 0)), 'base_link',
        geometry['PoseWithCovariance'](pose, np.zeros(36)),
        geometry['TwistWithCovariance'](twist, np.zeros(36)))


@pytest.fixture(scope='module')
def parameters(tmp_path_factory):
    """Return a parameter file of the node's."""
    path = tmp_path_factory.mktemp('parameters') / 'detector.yaml'
    path.write_text(PARAMETERS)
    return path


def decoded(cdr, kind=DETECTIONS):
    """Return a message from its bytes."""
    return typestore().deserialize_cdr(bytes(cdr), kind)


def canonical(cdr, kind=DETECTIONS):
    """Return a serialised message without what lies in its padding, which is left to chance."""
    return bytes(typestore().serialize_cdr(decoded(cdr, kind), kind))


def kind_of(name):
    """Return the type of an output."""
    return OBSTACLES if name == 'obstacles' else DETECTIONS


def mask_of(cdr):
    """Return the pixels of a serialised mask."""
    return typestore().deserialize_cdr(bytes(cdr), 'sensor_msgs/msg/Image').data.tobytes()


def published(bag):
    """Return the detections, alerts, obstacles and masks of a result bag, in their order."""
    found = {'detections': [], 'alerts': [], 'obstacles': [], 'mask': []}
    with Reader(bag) as reader:
        counts = {c.topic.rpartition('/')[2]: c.msgcount for c in reader.connections}
        assert counts.get('markers') in (None, counts.get('obstacles'))  # None offline
        for connection, _, cdr in reader.messages():
            name = connection.topic.rpartition('/')[2]
            if connection.topic.startswith('/vl4ad_detector/') and name in found:
                found[name].append(
                    mask_of(cdr) if name == 'mask' else canonical(cdr, kind_of(name)))
    return found


def test_lockstep_gives_what_evaluate_gives(recording, parameters, mock_bundle, tmp_path, capsys):
    arguments = ['--bundle', str(mock_bundle), '--params', str(parameters)]
    out = tmp_path / 'out'
    assert cli.main(['replay', str(recording), *arguments, '--lockstep', '--out', str(out)]) == 0
    assert ("warning: there is no parameter 'no_such_name'" in capsys.readouterr().err)
    online = published(out / 'result_bag')

    settings = Settings().changed(
        {**read_parameter_file(parameters), 'model.bundle': str(mock_bundle)})
    assert (settings.threshold, settings.model_threads) == (0.6, 1)
    seen = []
    detector = Detector.open(settings.model_bundle, settings.model_backend,
                             settings.backend_options)
    bag = CameraBag(recording)
    run = OfflineRun(bag, detector, settings)
    with OfflineBag(tmp_path / 'offline', bag, settings) as writer:
        def keep(done):
            seen.append(done.result)
            writer.add(done)
        run.run(keep)
    figures = dict(run.result().figures)
    detector.close()
    offline = published(tmp_path / 'offline')

    # The recording has what it should have.
    assert [r.moment.step for r in seen].count('late') == 1
    assert [i for i, r in enumerate(seen) if r.reset] == [16, 26, 38]
    assert {r.moment.unusable for r in seen} == {'', 'zero', 'constant'}
    assert sum(r.alerts is None for r in seen) >= 8 and any(r.alerts for r in seen)
    assert any(one.name for r in seen for one in r.detections)
    assert len(offline['detections']) == FRAMES
    assert all(r.view is not None for r in seen)
    assert {r.view.pose.position for r in seen} == {(0.0, 0.0, 1.4)}
    assert {round(r.view.pose.angles['pitch_deg'], 9) for r in seen} == {4.0}
    assert {r.view.camera.focal[0] for r in seen} == {150.0, 180.0}
    assert any(o.place.x_m > 3 for r in seen for o in r.obstacles or ())
    levels = {o.severity.level for r in seen for o in r.obstacles or ()}
    assert len(levels) >= 2 and any(
        o.severity.collision_s is not None for r in seen for o in r.obstacles or ())
    assert 5 < len(offline['obstacles']) < FRAMES
    for name in online:
        assert len(online[name]) == len(offline[name]), name
        for index, (one, other) in enumerate(zip(online[name], offline[name])):
            shown = name != 'mask' and (decoded(one, kind_of(name)), decoded(other, kind_of(name)))
            assert one == other, (name, index, shown)
    metrics = json.loads((out / 'metrics.json').read_text())
    del metrics['definitions'], figures['definitions']
    assert figures.items() <= metrics.items() and metrics['lockstep']


def test_the_report_shows_where_alerts_stand(recording, parameters, mock_bundle, tmp_path, capsys):
    assert cli.main(['evaluate', str(recording), '--bundle', str(mock_bundle), '--params',
                     str(parameters), '--out', str(tmp_path / 'out')]) == 0
    folder, = (tmp_path / 'out' / 'recordings').iterdir()
    result = json.loads((folder / 'result.json').read_text())
    assert any(row['severity'] and row['first_m'] >= row['nearest_m'] > 1
               for row in result['alerts'])
    assert any(' m, ' in moment['caption'] for moment in result['moments'])
    with ResultReader(folder / 'result_bag') as reader:
        alerts = [one for time_ns, *_ in reader.masks() for one in reader.frame(time_ns).alerts]
    assert any(one.place is not None and one.place.x_m > 1 for one in alerts)
    page = (tmp_path / 'out' / 'report.html').read_text()
    above = [path for path in (folder / 'pictures').iterdir() if path.name.endswith('.top.jpg')]
    assert page.count('from above" width') == len(above) > 0
    assert '<th>nearest</th>' in page and 'ahead is up' in page


def test_both_refuse_the_same_frames(mock_bundle, tmp_path, capsys):
    """Frames that are cut off, or larger than the parameter file allows, are counted alike."""
    sizes = [(90, 160)] * 14
    sizes[9] = (91, 160)
    bag = write_jpegs(tmp_path / 'bag', sizes, damaged=(4, 13))
    file = tmp_path / 'detector.yaml'
    file.write_text(f'/**: {{ros__parameters: {{image.max_pixels: {90 * 160}}}}}\n')
    arguments = [str(bag), '--bundle', str(mock_bundle), '--params', str(file)]
    assert cli.main(['evaluate', *arguments]) == 0
    said = capsys.readouterr()
    offline = json.loads(said.out)
    assert said.err.startswith('vl4ad: warning: 3 of 14 frames were refused')
    assert 'frame 4' in said.err
    out = tmp_path / 'out'
    assert cli.main(['replay', *arguments, '--lockstep', '--out', str(out)]) == 0
    assert '11 of 14 processed, 3 refused' in capsys.readouterr().out
    online = json.loads((out / 'metrics.json').read_text())
    del offline['definitions'], online['definitions']
    assert (offline['frames_processed'], offline['frames_refused']) == (11, 3)
    assert offline.items() <= online.items()
