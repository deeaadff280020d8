package agent

import (
	"strings"
	"time"
)

// kinds are the values of the agent's configuration that [Config] has no use for, by
// what the agent reads them as (pkg/config/config.go). It refuses a configuration in
// which one of them is of another kind, such as a duration without a unit. They are
// read only to find that out: some are secret.
type kinds struct {
	Settings       settingKinds             `mapstructure:"settings"`
	ConfigWatcher  watcherKinds             `mapstructure:"configWatcher"`
	Plugins        managementKinds          `mapstructure:"plugins"`
	Communications map[string]platformKinds `mapstructure:"communications"`
	Aliases        map[string]displayed     `mapstructure:"aliases"`
	Actions        map[string]displayed     `mapstructure:"actions"`
}

type displayed struct {
	DisplayName string `mapstructure:"displayName"`
}

type settingKinds struct {
	ClusterName      string       `mapstructure:"clusterName"`
	SystemConfigMap  resourceKind `mapstructure:"systemConfigMap"`
	PersistentConfig struct {
		Startup persistentKind `mapstructure:"startup"`
		Runtime persistentKind `mapstructure:"runtime"`
	} `mapstructure:"persistentConfig"`
	MetricsPort string `mapstructure:"metricsPort"`
	HealthPort  string `mapstructure:"healthPort"`
	Log         struct {
		Level         string `mapstructure:"level"`
		DisableColors bool   `mapstructure:"disableColors"`
		Formatter     string `mapstructure:"formatter"`
	} `mapstructure:"log"`
	LifecycleServer struct {
		Enabled bool `mapstructure:"enabled"`
		Port    int  `mapstructure:"port"`
	} `mapstructure:"lifecycleServer"`
	InformersResyncPeriod   time.Duration `mapstructure:"informersResyncPeriod"`
	Kubeconfig              string        `mapstructure:"kubeconfig"`
	SACredentialsPathPrefix string        `mapstructure:"saCredentialsPathPrefix"`
}

type resourceKind struct {
	Name      string `mapstructure:"name"`
	Namespace string `mapstructure:"namespace"`
}

type persistentKind struct {
	FileName  string       `mapstructure:"fileName"`
	ConfigMap resourceKind `mapstructure:"configMap"`
}

type watcherKinds struct {
	Enabled bool `mapstructure:"enabled"`
	Remote  struct {
		PollInterval time.Duration `mapstructure:"pollInterval"`
	} `mapstructure:"remote"`
	InCluster struct {
		InformerResyncPeriod time.Duration `mapstructure:"informerResyncPeriod"`
	} `mapstructure:"inCluster"`
	InitialSyncTimeout time.Duration `mapstructure:"initialSyncTimeout"`
	TmpDir             string        `mapstructure:"tmpDir"`
	Deployment         resourceKind  `mapstructure:"deployment"`
}

type managementKinds struct {
	IncomingWebhook struct {
		Enabled          bool   `mapstructure:"enabled"`
		Port             int    `mapstructure:"port"`
		InClusterBaseURL string `mapstructure:"inClusterBaseURL"`
	} `mapstructure:"incomingWebhook"`
	RestartPolicy struct {
		Type      string `mapstructure:"type"`
		Threshold int    `mapstructure:"threshold"`
	} `mapstructure:"restartPolicy"`
	HealthCheckInterval time.Duration `mapstructure:"healthCheckInterval"`
}

type platformKinds struct {
	SocketSlack struct {
		Channels map[string]channelKinds `mapstructure:"channels"`
		BotToken string                  `mapstructure:"botToken"`
		AppToken string                  `mapstructure:"appToken"`
	} `mapstructure:"socketSlack"`
	CloudSlack struct {
		Channels map[string]struct {
			channelKinds `mapstructure:",squash"`
			ChannelID    string  `mapstructure:"channelID"`
			Alias        *string `mapstructure:"alias"`
		} `mapstructure:"channels"`
		Token                           string      `mapstructure:"token"`
		BotID                           string      `mapstructure:"botID"`
		Server                          serverKinds `mapstructure:"server"`
		ExecutionEventStreamingDisabled bool        `mapstructure:"executionEventStreamingDisabled"`
	} `mapstructure:"cloudSlack"`
	Mattermost struct {
		Channels map[string]channelKinds `mapstructure:"channels"`
		BotName  string                  `mapstructure:"botName"`
		Token    string                  `mapstructure:"token"`
		Team     string                  `mapstructure:"team"`
	} `mapstructure:"mattermost"`
	Discord struct {
		Channels map[string]numberedKinds `mapstructure:"channels"`
		Token    string                   `mapstructure:"token"`
		BotID    string                   `mapstructure:"botID"`
	} `mapstructure:"discord"`
	CloudTeams struct {
		BotName string      `mapstructure:"botName"`
		Server  serverKinds `mapstructure:"server"`
		Teams   []struct {
			ID       string                   `mapstructure:"id"`
			Channels map[string]numberedKinds `mapstructure:"channels"`
		} `mapstructure:"teams"`
	} `mapstructure:"cloudTeams"`
	Elasticsearch struct {
		Username      string `mapstructure:"username"`
		Password      string `mapstructure:"password"`
		SkipTLSVerify bool   `mapstructure:"skipTLSVerify"`
		AWSSigning    struct {
			AWSRegion string `mapstructure:"awsRegion"`
			RoleArn   string `mapstructure:"roleArn"`
		} `mapstructure:"awsSigning"`
		Indices map[string]struct {
			Name     string `mapstructure:"name"`
			Type     string `mapstructure:"type"`
			Shards   int    `mapstructure:"shards"`
			Replicas int    `mapstructure:"replicas"`
		} `mapstructure:"indices"`
		LogLevel string `mapstructure:"logLevel"`
	} `mapstructure:"elasticsearch"`
	Slack struct {
		Channels map[string]channelKinds `mapstructure:"channels"`
		Token    string                  `mapstructure:"token"`
	} `mapstructure:"slack"`
	Teams struct {
		BotName     string `mapstructure:"botName"`
		AppID       string `mapstructure:"appID"`
		AppPassword string `mapstructure:"appPassword"`
		Port        string `mapstructure:"port"`
		MessagePath string `mapstructure:"messagePath"`
	} `mapstructure:"teams"`
	PagerDuty struct {
		IntegrationKey string `mapstructure:"integrationKey"`
	} `mapstructure:"pagerDuty"`
}

type numberedKinds struct {
	ID           string `mapstructure:"id"`
	Notification struct {
		Disabled bool `mapstructure:"disabled"`
	} `mapstructure:"notification"`
}

type channelKinds struct {
	Name         string `mapstructure:"name"`
	Notification struct {
		Disabled bool `mapstructure:"disabled"`
	} `mapstructure:"notification"`
	MessageTriggers []struct {
		Event string `mapstructure:"event"`
		Text  struct {
			Include []string `mapstructure:"include"`
			Exclude []string `mapstructure:"exclude"`
		} `mapstructure:"text"`
		Users struct {
			Exclude []string `mapstructure:"exclude"`
		} `mapstructure:"users"`
		Command                 string   `mapstructure:"command"`
		Executors               []string `mapstructure:"executors"`
		ProcessedEmojiIndicator *string  `mapstructure:"processedEmojiIndicator"`
	} `mapstructure:"messageTriggers"`
}

type serverKinds struct {
	DisableTransportSecurity bool `mapstructure:"disableTransportSecurity"`
	TLS                      struct {
		// CACertificate is one that no text can be: the agent splits texts into lists
		// before it makes bytes of them.
		CACertificate      []byte `mapstructure:"caCertificate"`
		UseSystemCertPool  bool   `mapstructure:"useSystemCertPool"`
		InsecureSkipVerify bool   `mapstructure:"insecureSkipVerify"`
	} `mapstructure:"tls"`
}

// Since which version agents read values that they pass over before, and until before
// which one those that they pass over later.
var kindUntil = map[string]string{
	"settings.lifecycleServer":         "v1.9.0",
	"configWatcher.initialSyncTimeout": "v1.5.0",
	"configWatcher.tmpDir":             "v1.5.0",
}

var kindSince = map[string]string{
	"settings.saCredentialsPathPrefix": "v1.1.0",
	"settings.log.formatter":           "v1.2.0",
	"plugins.incomingWebhook":          "v1.4.0",
	"plugins.restartPolicy":            "v1.5.0",
	"plugins.healthCheckInterval":      "v1.5.0",
	"configWatcher.inCluster":          "v1.5.0",
	"elasticsearch.logLevel":           "v1.5.0",
	"messageTriggers":                  "v1.6.0",
	"server.disableTransportSecurity":  "v1.7.0",
	"server.tls":                       "v1.7.0",

	"cloudSlack.executionEventStreamingDisabled": "v1.3.0",
	// Of a channel of cloudSlack.
	"channelID": "v1.13.0",
	"alias":     "v1.13.0",
}

// readKind reports whether agents of a version read a value at all.
func readKind(version, setting string) bool {
	within := func(part string) bool { return strings.Contains("."+setting+".", "."+part+".") }
	for part, first := range kindSince {
		if within(part) && !since(version, first) {
			return false
		}
	}
	for part, without := range kindUntil {
		if within(part) && since(version, without) {
			return false
		}
	}
	parts := strings.Split(setting, ".")
	return parts[0] != "communications" || len(parts) < 3 || hasPlatform(version, parts[2])
}

// wrongKinds returns where values of a configuration are that are of the wrong kind,
// sorted.
func wrongKinds(merged map[string]any) []string {
	err := decode(merged, new(kinds))
	if err == nil {
		return nil
	}
	var settings []string
	for _, name := range undecoded(err) {
		settings = append(settings, asPath.Replace(name))
	}
	return settings
}

// asPath makes a path of what the library calls a value.
var asPath = strings.NewReplacer("[", ".", "]", "")
